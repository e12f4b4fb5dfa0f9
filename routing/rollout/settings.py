"""Settings of the rollout controller, from its environment."""

import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from headrace.contract import names
from headrace.contract.errors import InputError

PREFIX: Final = "HEADRACE_ROLLOUT_"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Every setting is HEADRACE_ROLLOUT_ and its name in capitals."""

    journal: str = ""
    """File that every look is appended to as a JSON line, for replay. Empty: none is written."""
    identity: str = ""
    """This replica's name in the lease. Empty: the host name, which is the pod's."""
    log_level: str = "INFO"

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "Settings":
        """Reads the environment; raises InputError that names every fault."""
        given = {key.removeprefix(PREFIX): value for key, value in environment.items() if key.startswith(PREFIX)}
        known = {name.upper() for name in cls.__dataclass_fields__}
        faults = [
            f"{PREFIX}{name} is not a setting; remove it or correct its name" for name in sorted(set(given) - known)
        ]
        level = given.get("LOG_LEVEL", cls.log_level).upper()
        if level not in ("DEBUG", "INFO", "WARNING", "ERROR"):
            faults.append(f"{PREFIX}LOG_LEVEL = {level!r}, must be DEBUG, INFO, WARNING or ERROR")
        if faults:
            raise InputError("environment", faults)
        identity = given.get("IDENTITY") or socket.gethostname()
        return cls(journal=given.get("JOURNAL", ""), identity=identity, log_level=level)


LEASE: Final = (names.SYSTEM_NAMESPACE, names.ROLLOUT)
"""Namespace and name."""
