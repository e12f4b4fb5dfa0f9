"""TrustedIssuer: an OpenID Connect issuer, beside the cluster's own, whose tokens callers may show."""

from dataclasses import dataclass
from typing import Annotated, Final

from headrace.contract import names
from headrace.contract.declaration import Items, NotEmpty, Text

_AUDIENCES: Final = (names.TOKEN_AUDIENCE,)

ClaimName = Annotated[str, Text(pattern=r"[!-~]{1,256}", meaning="a claim's name, of at most 256 characters")]
Prefix = Annotated[str, Text(pattern=r"[!-~]{1,256}", meaning="1 to 256 printable ASCII characters without blanks")]


@dataclass(frozen=True, kw_only=True)
class TrustedIssuer:
    """One issuer, and how its tokens are read."""

    issuer: NotEmpty
    """Address of the issuer, as `iss` of its tokens has it, for example https://login.example.com."""
    audiences: Annotated[tuple[NotEmpty, ...], Items(minimum=1)] = _AUDIENCES
    """A token must be for one of these, its `aud`. Default ["headrace"]."""
    jwks_uri: NotEmpty | None = None
    """Where its keys are. Absent: where its document /.well-known/openid-configuration says."""
    prefix: Prefix | None = None
    """Stands before each subject and group of its tokens, so that they are no other issuer's. Default the issuer and
    a `#`."""
    subject_claim: ClaimName = "sub"
    """Claim with the subject, a text; `a.b` is `b` inside `a`. Default sub."""
    groups_claim: ClaimName | None = None
    """Claim with the caller's groups, a list of texts or one. Absent: its callers have no groups."""
    ca_certificate: NotEmpty | None = None
    """PEM of the authorities that its certificate is checked by. Absent: the public ones."""

    @property
    def full_prefix(self) -> str:
        """`prefix`, with its default."""
        return self.prefix if self.prefix is not None else f"{self.issuer}#"

    @property
    def discovery_address(self) -> str:
        """Address of the document that says where the keys are (OpenID Connect Discovery 1.0, 4)."""
        return f"{self.issuer.rstrip('/')}/.well-known/openid-configuration"
