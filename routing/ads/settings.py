"""Settings: what the control plane reads from its environment. It does not start with unknown or wrong values."""

from collections.abc import Mapping
from dataclasses import dataclass

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
    issuers: tuple[TrustedIssuer, ...] = ()
    """Issuers of callers' tokens beside the cluster."""
    revoked: Revoked = NOTHING_REVOKED
    """Tokens and callers that are refused although their issuer calls them good."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "Settings":
        """Reads HEADRACE_ROUTING_LOG_LEVEL, HEADRACE_COLLECTOR, HEADRACE_TOKEN_ISSUERS and HEADRACE_REVOKED.

        Raises InputError that names every fault."""
        faults = []
        level = environment.get(_LOG_LEVEL, cls.log_level).upper()
        if level not in ("DEBUG", "INFO", "WARNING", "ERROR"):
            faults.append(f"{_LOG_LEVEL} = {level!r}, must be DEBUG, INFO, WARNING or ERROR")
        collector = environment.get(ENV_COLLECTOR, "")
        if collector and not collector.rpartition(":")[2].isdigit():
            faults.append(f"{ENV_COLLECTOR} = {collector!r}, must be a host and a port such as collector:4317")
        issuers, broken = issuers_of(environment.get(ENV_TOKEN_ISSUERS, ""))
        faults += [f"{ENV_TOKEN_ISSUERS}: {fault}" for fault in broken]
        revoked, broken = revoked_of(environment.get(ENV_REVOKED, ""))
        faults += [f"{ENV_REVOKED}: {fault}" for fault in broken]
        unknown = sorted(key for key in environment if key.startswith(_PREFIX) and key != _LOG_LEVEL)
        faults += [f"{key} is not a setting; remove it or correct its name" for key in unknown]
        if faults:
            raise InputError("environment", faults)
        return cls(log_level=level, collector=collector, issuers=issuers, revoked=revoked)
