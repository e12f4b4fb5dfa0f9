"""Identities: certificates by which the control plane and the proxies know each other, of an authority of their own.

Made on the deployer's machine and kept, as secrets, in the stack's state; each program's Secret holds its own pair and
the authority's certificate. The first `pulumi up` in the last third of their life renews all. It is long, because a
platform that nobody updates must not stop: nobody but the platform's own programs trusts these certificates.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

import pulumi
from cryptography.x509.oid import ExtendedKeyUsageOID
from pulumi import dynamic

from headrace.components.kubernetes import manifests
from headrace.components.kubernetes.manifests import Labels, Manifest
from headrace.components.kubernetes.object import KubernetesObject
from headrace.components.platform.certificate import AUTHORITY_LIFE, new_authority, new_server, renewal_due
from headrace.contract import names

_CLIENT, _SERVER = ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH
_PROGRAMS: Final = {
    names.ROUTING: ([names.CONTROL_PLANE_HOST, names.ROUTING], _SERVER),
    names.POP_PROXY: ([names.POP_PROXY], _CLIENT),
    names.LOAD_BALANCER: ([names.LOAD_BALANCER], _CLIENT),
}
"""The names in each program's certificate, and what it may be used for."""


class _Issuer(dynamic.ResourceProvider):
    """Runs in Pulumi's provider process; the outputs are the fields of Identities."""

    serialize_as_secret_always = False  # it holds no state at all

    def create(self, props: Any) -> dynamic.CreateResult:
        return dynamic.CreateResult("identities", issued(datetime.now(UTC)))

    def diff(self, _id: str, _olds: Any, _news: Any) -> dynamic.DiffResult:
        due = renewal_due(_olds["authority"], datetime.now(UTC), life=AUTHORITY_LIFE)
        return dynamic.DiffResult(changes=due or set(_olds["pairs"]) != set(_PROGRAMS))

    def update(self, _id: str, _olds: Any, _news: Any) -> dynamic.UpdateResult:
        return dynamic.UpdateResult(issued(datetime.now(UTC), trusted_before=_olds["authority"]))


def issued(now: datetime, *, trusted_before: str = "") -> dict[str, Any]:
    """The outputs of Identities. Who has the new ones trusts the authority before them, too."""
    authority = new_authority(now)
    pairs = {}
    for program, (server_names, usage) in _PROGRAMS.items():
        pair = new_server(authority, server_names, now, life=AUTHORITY_LIFE, usage=usage)
        pairs[program] = {"certificate": pair.certificate, "private_key": pair.private_key}
    return {"authority": authority.certificate, "trusted": authority.certificate + trusted_before, "pairs": pairs}


class Identities(dynamic.Resource, module="headrace", name="Identities"):
    """One authority, whose key is thrown away, and a certificate of each program."""

    authority: pulumi.Output[str]
    """The authority's certificate, PEM."""
    trusted: pulumi.Output[str]
    """The authorities that the programs trust: this one and, after a renewal, the one before. PEM."""
    pairs: pulumi.Output[Mapping[str, Mapping[str, str]]]
    """By program: `certificate` and `private_key`, PEM; secret."""

    def __init__(self, name: str, opts: pulumi.ResourceOptions | None = None) -> None:
        secret = pulumi.ResourceOptions(additional_secret_outputs=["pairs"])
        outputs = dict.fromkeys(("authority", "trusted", "pairs"))
        super().__init__(_Issuer(), name, outputs, pulumi.ResourceOptions.merge(opts, secret))


def identity_secrets(name: str, *, labels: Labels, opts: pulumi.ResourceOptions) -> list[KubernetesObject]:
    """Registers the programs' Secrets, which their pods mount (`identity_volume`)."""
    identities = Identities(f"{name}-identities", opts)
    made = []
    for program in _PROGRAMS:
        pair = identities.pairs.apply(lambda pairs, program=program: pairs[program])  # type: ignore[misc]
        files = {
            "tls.crt": pair.apply(lambda known: known["certificate"]),
            "tls.key": pair.apply(lambda known: known["private_key"]),
            "ca.crt": identities.trusted,
        }
        secret = manifests.tls_secret(_secret(program), names.SYSTEM_NAMESPACE, labels=labels, files=files)
        made.append(KubernetesObject(f"{name}-{program}-identity", secret, opts))
    return made


def identity_volume(program: str) -> tuple[Manifest, Manifest]:
    """The volume of a program's identity and where its container mounts it; a renewed one is used without a restart."""
    volume = {"name": "identity", "secret": {"secretName": _secret(program), "defaultMode": 0o440}}
    return volume, {"name": "identity", "mountPath": names.IDENTITY_DIRECTORY, "readOnly": True}


def _secret(program: str) -> str:
    return f"{program}-identity"
