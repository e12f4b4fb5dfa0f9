"""Settings: what the control plane reads from its environment. It does not start with unknown or wrong values."""

from collections.abc import Mapping
from dataclasses import dataclass

from headrace.contract import names
from headrace.contract.errors import InputError
from headrace.contract.revoked import ENV_REVOKED, NOTHING_REVOKED, Revoked, revoked_of
from headrace.contract.telemetry import ENV_COLLECTOR
from headrace.contract.trusted_issuer import TrustedIssuer
from headrace.contract.trusted_issuers import ENV_TOKEN_ISSUERS, issuers_of

_PREFIX = "HEADRACE_ROUTING_"
_LOG_LEVEL = f"{_PREFIX}LOG_LEVEL"


@dataclass(frozen=True, kw_only=True)
class Settings:
    log_level: str = "INFO"
    collector: str = ""
    """Host and port of the Collector, OTLP over gRPC; empty: the proxies trace nothing."""
    http3_port: int | None = None
    """Port at which callers reach the PopProxy over UDP; None: there is no HTTP/3."""
    issuers: tuple[TrustedIssuer, ...] = ()
    """Issuers of callers' tokens beside the cluster."""
    revoked: Revoked = NOTHING_REVOKED
    """Tokens and callers that are refused although their issuer calls them good."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "Settings":
        """Reads HEADRACE_ROUTING_LOG_LEVEL, HEADRACE_COLLECTOR, HEADRACE_HTTP3_PORT, HEADRACE_TOKEN_ISSUERS and
        HEADRACE_REVOKED.

        Raises InputError that names every fault."""
        faults = []
        level = environment.get(_LOG_LEVEL, cls.log_level).upper()
        if level not in ("DEBUG", "INFO", "WARNING", "ERROR"):
            faults.append(f"{_LOG_LEVEL} = {level!r}, must be DEBUG, INFO, WARNING or ERROR")
        collector = environment.get(ENV_COLLECTOR, "")
        if collector and not collector.rpartition(":")[2].isdigit():
            faults.append(f"{ENV_COLLECTOR} = {collector!r}, must be a host and a port such as collector:4317")
        http3 = environment.get(names.ENV_HTTP3_PORT, "")
        if http3 and not (http3.isascii() and http3.isdigit() and 1 <= int(http3) <= 65_535):
            faults.append(f"{names.ENV_HTTP3_PORT} = {http3!r}, must be a port, 1 to 65535")
        issuers, broken = issuers_of(environment.get(ENV_TOKEN_ISSUERS, ""))
        faults += [f"{ENV_TOKEN_ISSUERS}: {fault}" for fault in broken]
        revoked, broken = revoked_of(environment.get(ENV_REVOKED, ""))
        faults += [f"{ENV_REVOKED}: {fault}" for fault in broken]
        unknown = sorted(key for key in environment if key.startswith(_PREFIX) and key != _LOG_LEVEL)
        faults += [f"{key} is not a setting; remove it or correct its name" for key in unknown]
        if faults:
            raise InputError("environment", faults)
        return cls(
            log_level=level,
            collector=collector,
            http3_port=int(http3) if http3 else None,
            issuers=issuers,
            revoked=revoked,
        )
