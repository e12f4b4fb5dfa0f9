"""What the table writer is told at start."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from headrace.contract import names
from headrace.contract.errors import InputError
from headrace.contract.telemetry import ENV_TELEMETRY_TABLES

STORAGE_DIRECTORY: Final = "/etc/headrace/storage"
"""Of a Secret's files, where one is mounted: a file for each of deltalake's storage options, named by it."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """All of it."""

    port: int = names.TABLES_PORT
    health_port: int = names.CONTROL_HEALTH_PORT
    telemetry_folder: str = ""
    """Where the tables of spans and logs are; empty: none are written."""
    storage_directory: Path = Path(STORAGE_DIRECTORY)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "Settings":
        """Raises InputError with every fault."""
        ports, faults = [], []
        for name, default in (("HEADRACE_TABLES_PORT", cls.port), ("HEADRACE_HEALTH_PORT", cls.health_port)):
            text = environment.get(name, str(default))
            if not text.isdigit() or int(text) > 65535:
                faults.append(f"{name} = {text!r}, must be a port of at most 65535")
            ports.append(int(text) if text.isdigit() else 0)
        if faults:
            raise InputError("table writer", faults)
        directory = Path(environment.get("HEADRACE_STORAGE_DIRECTORY", STORAGE_DIRECTORY))
        folder = environment.get(ENV_TELEMETRY_TABLES, "")
        return cls(port=ports[0], health_port=ports[1], telemetry_folder=folder, storage_directory=directory)

    def storage_options(self) -> dict[str, str]:
        """Options and credentials of stores, as the files say now: the kubelet renews them with the Secret."""
        if not self.storage_directory.is_dir():
            return {}
        files = (path for path in self.storage_directory.iterdir() if path.is_file() and not path.name.startswith("."))
        return {path.name: path.read_text().strip() for path in sorted(files)}
