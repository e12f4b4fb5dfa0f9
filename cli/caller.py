"""Caller: as whom a command asks the platform, at which address, and whom it trusts there."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from headrace.cli import options
from headrace.contract.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Caller:
    """What a request needs."""

    url: str
    """https://host:port."""
    token: str
    """Shown as Bearer."""
    ca_file: Path | None
    """PEM; None where public authorities are trusted."""

    @property
    def verify(self) -> bool | str:
        """As `requests` takes it."""
        return True if self.ca_file is None else str(self.ca_file)

    @property
    def headers(self) -> dict[str, str]:
        """Those that say who asks."""
        return {"authorization": f"Bearer {self.token}"}


@contextmanager
def caller(
    command: str,
    *,
    token: str,
    service_account: str,
    url: str,
    ca_file: Path | None,
    kubeconfig: str | None,
    context: str | None,
) -> Iterator[Caller]:
    """The caller that the options name; what they leave open comes from the cluster.

    Raises InputError for no token or two, PermanentError for a cluster without a platform or ServiceAccount.
    """
    if bool(token) == bool(service_account):
        raise InputError(
            command,
            [f"--token and --as = {service_account!r}, must be one of the two: give one, or set HEADRACE_TOKEN"],
        )
    needs_cluster = bool(service_account) or not url
    cluster = options.connected(kubeconfig, context) if needs_cluster else None
    with tempfile.TemporaryDirectory() as folder:
        if cluster is not None:
            found = None if url else cluster.platform()
            if found is not None:
                url = found.url
                if ca_file is None and found.ca_certificate:
                    ca_file = Path(folder, "ca.crt")
                    ca_file.write_text(found.ca_certificate)
            if service_account:
                token = cluster.token(service_account)
        yield Caller(url=url.rstrip("/"), token=token, ca_file=ca_file)
