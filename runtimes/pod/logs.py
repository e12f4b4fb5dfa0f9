"""How the programs of a model pod log: in lines (contract.log_line). A serving process does by `log_outlet`."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from headrace.contract import log_line, names

TERMINATION_MESSAGE_LENGTH: Final = 4000
"""Characters of a reason that are left for the kubelet, which keeps 4096 bytes of it."""

log = logging.getLogger("headrace.front")


def fields_of(environment: Mapping[str, str]) -> dict[str, str]:
    """Fields of every line of a pod that has this environment."""
    named = {log_line.ENDPOINT: names.ENV_ENDPOINT, log_line.VERSION: names.ENV_VERSION}
    return {field: environment.get(variable, "") for field, variable in named.items()}


def configure(component: str, environment: Mapping[str, str]) -> None:
    """This process writes lines to stderr."""
    log_line.configure(component, fields=fields_of(environment))


def tell_reason(reason: str, termination_log: Path) -> None:
    """Logs why the model cannot be served, and leaves it where the kubelet reads it, if there is such a file."""
    log.error("the model cannot be served: %s", reason)
    if termination_log.exists():
        try:
            termination_log.write_text(reason[:TERMINATION_MESSAGE_LENGTH], errors="backslashreplace")
        except OSError as error:
            log.warning("cannot write %s: %s", termination_log, error)
