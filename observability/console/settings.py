"""What the console is told at start."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from headrace.contract import names
from headrace.contract.errors import InputError
from headrace.contract.inference_table import TOKEN_FILE

PREFIX: Final = "HEADRACE_CONSOLE_"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """All of it; each field is read from PREFIX and its name in capitals."""

    prometheus_url: str = ""
    """Where load is remembered; empty: plots are left out."""
    tables: str = ""
    """Host and port of the table writer; empty: rows are left out."""
    traces: str = ""
    """Not empty where the table writer has spans too."""
    pop: str = f"{names.POP_PROXY}.{names.SYSTEM_NAMESPACE}.svc:443"
    """Host and port of the PopProxy inside the cluster, for requests that are tried."""
    platform_directory: str = ""
    """Files of the ConfigMap PLATFORM_CONFIG_MAP; empty: none is mounted."""
    token_file: str = TOKEN_FILE
    """The console's own token, by which the table writer knows it."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "Settings":
        """Raises InputError for names that are no setting."""
        given = {key: value for key, value in environment.items() if key.startswith(PREFIX)}
        known = {f"{PREFIX}{name.upper()}": name for name in cls.__dataclass_fields__}
        faults = [f"{key} is not a setting; remove it or correct its name" for key in sorted(given.keys() - known)]
        if faults:
            raise InputError("console", faults)
        return cls(**{known[key]: value for key, value in given.items()})

    @property
    def url(self) -> str:
        """The platform's address for clients; empty where it is not known."""
        return self._platform(names.PLATFORM_URL_KEY)

    @property
    def ca_certificate(self) -> str:
        """PEM of the authority that signed the PopProxy's certificate; empty for a public one."""
        return self._platform(names.CA_KEY)

    def _platform(self, key: str) -> str:
        """Read each time: the kubelet renews the file with the ConfigMap."""
        path = Path(self.platform_directory) / key
        return path.read_text() if self.platform_directory and path.is_file() else ""
