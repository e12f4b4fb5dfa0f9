"""Settings: what the control plane reads from its environment. Unknown or wrong values stop it at start."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from headrace.contract import names
from headrace.contract.errors import InputError
from headrace.routing.snapshot import Options

_PREFIX = "HEADRACE_ROUTING_"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The process's own settings; `options` go into the proxies' configuration."""

    xds_address: str = f"0.0.0.0:{names.XDS_PORT}"
    health_port: int = names.CONTROL_HEALTH_PORT
    log_level: str = "INFO"
    options: Options = field(default_factory=Options)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "Settings":
        """Reads HEADRACE_ROUTING_LOG_LEVEL; raises InputError that names every fault."""
        faults = []
        level = environment.get(f"{_PREFIX}LOG_LEVEL", "INFO").upper()
        if level not in ("DEBUG", "INFO", "WARNING", "ERROR"):
            faults.append(f"{_PREFIX}LOG_LEVEL = {level!r}, must be DEBUG, INFO, WARNING or ERROR")
        known = {f"{_PREFIX}LOG_LEVEL"}
        faults += [
            f"{key} is not a setting; remove it or correct its name"
            for key in sorted(environment)
            if key.startswith(_PREFIX) and key not in known
        ]
        if faults:
            raise InputError("environment", faults)
        return cls(log_level=level)
