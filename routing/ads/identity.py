"""Identity: the control plane's certificate, and whose certificates it takes, read from files at each handshake."""

# mypy: disable-error-code="import-untyped"
# grpcio carries no types.

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import grpc

from headrace.contract import names
from headrace.contract.errors import InputError

_FILES = ("tls.crt", "tls.key", "ca.crt")


def credentials(directory: str = names.IDENTITY_DIRECTORY) -> Any:
    """gRPC's server credentials: TLS for callers with a certificate of the authority in `ca.crt` alone.

    Raises InputError when the files cannot be read now; later the last good ones are kept.
    """
    folder = Path(directory)
    read: dict[str, bytes] = {}
    try:
        read.update(_read(folder))
    except OSError as error:
        rule = "cannot be read; mount the Secret that ControlPlane makes"
        raise InputError("identity", [f"{error.filename} {rule}: {error.strerror}"]) from error

    def renewed() -> Any:
        """What has changed since, or None; a Secret's files change together, by one rename."""
        try:
            found = _read(folder)
        except OSError:
            return None
        if found == read:
            return None
        read.update(found)
        return _configuration(found)

    return grpc.dynamic_ssl_server_credentials(_configuration(read), renewed, require_client_authentication=True)


def roles(context: Any) -> frozenset[str] | None:
    """The names in the caller's verified certificate; None without TLS."""
    known: Mapping[str, Any] = context.auth_context()
    if b"ssl" not in known.get("transport_security_type", ()):
        return None
    return frozenset(name.decode() for name in known.get("x509_subject_alternative_name", ()))


def _read(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in _FILES}


def _configuration(files: Mapping[str, bytes]) -> Any:
    certificate, key, authority = (files[name] for name in _FILES)
    return grpc.ssl_server_certificate_configuration([(key, certificate)], root_certificates=authority)
