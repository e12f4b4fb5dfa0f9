"""Settings: what the controller reads from its environment. Unknown or wrong values stop it at start."""

import socket
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from headrace.contract import names
from headrace.contract.errors import InputError

PREFIX = "HEADRACE_AUTOSCALER_"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """One field for each variable HEADRACE_AUTOSCALER_<FIELD>."""

    prometheus_url: str = ""
    """Prometheus to read load from, for example http://prometheus.monitoring:9090. Empty: the controller reads the
    balancers and the pods itself, which suits a cluster without Prometheus and up to some hundred pods."""
    journal: str = ""
    """File that every look is appended to as a JSON line, for replay. Empty: only changes are logged, on stdout."""
    namespace: str = names.SYSTEM_NAMESPACE
    """Where the lease lies."""
    identity: str = ""
    """This replica's name in the lease. Empty: the host name, which is the pod's."""
    log_level: str = "INFO"
    port: int = names.CONTROL_HEALTH_PORT
    """Port of /healthz, /readyz, /metrics and /targets."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "Settings":
        """Reads the environment; raises InputError that names every fault."""
        given = {key.removeprefix(PREFIX): value for key, value in environment.items() if key.startswith(PREFIX)}
        faults = [
            f"{PREFIX}{name} is not a setting; remove it or correct its name"
            for name in sorted(set(given) - {name.upper() for name in cls.__dataclass_fields__})
        ]
        level = given.get("LOG_LEVEL", cls.log_level).upper()
        if level not in ("DEBUG", "INFO", "WARNING", "ERROR"):
            faults.append(f"{PREFIX}LOG_LEVEL = {level!r}, must be DEBUG, INFO, WARNING or ERROR")
        url = given.get("PROMETHEUS_URL", "").rstrip("/")
        if url and urlsplit(url).scheme not in ("http", "https"):
            faults.append(f"{PREFIX}PROMETHEUS_URL = {url!r}, must begin with http:// or https://")
        port = given.get("PORT", str(cls.port))
        if not port.isdecimal() or not 0 <= int(port) <= 65535:
            faults.append(f"{PREFIX}PORT = {port!r}, must be a port number, 0 to 65535")
        if faults:
            raise InputError("environment", faults)
        return cls(
            prometheus_url=url,
            journal=given.get("JOURNAL", cls.journal),
            namespace=given.get("NAMESPACE", cls.namespace),
            identity=given.get("IDENTITY") or socket.gethostname(),
            log_level=level,
            port=int(port),
        )
