"""What clients of the Open Inference Protocol ask the platform's host itself, over REST and over gRPC. Pure."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final

from headrace.contract import names

NAME: Final = "headrace"
EXTENSIONS: Final = ("binary_tensor_data",)
_LENGTH_DELIMITED: Final = 2


def rest(path: str, endpoints: Iterable[str]) -> dict[str, Any] | None:
    """The document at a path below /v2; None where there is none."""
    found: dict[str, dict[str, Any]] = {
        "/v2": {"name": NAME, "version": "", "extensions": list(EXTENSIONS)},
        "/v2/health/live": {"live": True},
        "/v2/health/ready": {"ready": True},
        "/v2/models": {"models": list(endpoints)},
    }
    return found.get(path)


def _texts(fields: Iterable[tuple[int, str]]) -> bytes:
    """A protobuf message of short texts, each with its field's number."""
    parts = ((number << 3 | _LENGTH_DELIMITED, text.encode()) for number, text in fields)
    return b"".join(bytes((tag, len(text))) + text for tag, text in parts)


_TRUE: Final = b"\x08\x01"
"""A message whose first field is true."""
MESSAGES: Final[Mapping[str, bytes]] = MappingProxyType(
    {
        f"/{names.GRPC_SERVICE}/ServerLive": _TRUE,
        f"/{names.GRPC_SERVICE}/ServerReady": _TRUE,
        f"/{names.GRPC_SERVICE}/ServerMetadata": _texts([(1, NAME), *((3, each) for each in EXTENSIONS)]),
    }
)
"""Path of a method → the message that it answers, whatever is asked."""
