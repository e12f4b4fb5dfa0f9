"""Instance types of SageMaker: their cores and GPUs, by the rule of their names. Pure.

Figures are those of AWS' pages on instance types, read in November 2026.
"""

import re
from typing import Any, Final

_TYPE: Final = re.compile(r"ml\.([a-z]+\d+[a-z]*)\.(\d*)(medium|large|xlarge)")
_GENERAL: Final = re.compile(r"[cmrt]\d[a-z]*")
"""Families without accelerators."""
_GPUS: Final[dict[str, tuple[float, bool, dict[str, int]]]] = {
    "p3": (16.0, False, {"2": 1, "8": 4, "16": 8}),
    "p4d": (40.0, False, {"24": 8}),
    "p4de": (80.0, False, {"24": 8}),
    "p5": (80.0, True, {"4": 1, "48": 8}),
    "p5e": (141.0, True, {"48": 8}),
    "p5en": (141.0, True, {"48": 8}),
    "g4dn": (16.0, False, {"": 1, "2": 1, "4": 1, "8": 1, "12": 4, "16": 1}),
    "g5": (24.0, False, {"": 1, "2": 1, "4": 1, "8": 1, "12": 4, "16": 1, "24": 4, "48": 8}),
    "g6": (24.0, True, {"": 1, "2": 1, "4": 1, "8": 1, "12": 4, "16": 1, "24": 4, "48": 8}),
    "g6e": (48.0, True, {"": 1, "2": 1, "4": 1, "8": 1, "12": 4, "16": 1, "24": 4, "48": 8}),
}
"""By family: GiB of one GPU, whether it multiplies 8-bit floats, and their number by the figure before `xlarge`."""


def gpus(instance_type: str) -> dict[str, Any] | None:
    """What the `runtime` of an endpoint says of the GPUs of ml.g5.12xlarge; None where it has none that are known."""
    match = _TYPE.fullmatch(instance_type)
    if match is None or match[1] not in _GPUS or match[3] != "xlarge":
        return None
    memory, has_fp8, numbers = _GPUS[match[1]]
    number = numbers.get(match[2])
    return None if number is None else {"gpus": number, "gpu_memory_gib": memory, "gpu_has_fp8": has_fp8}


def cores(instance_type: str) -> int | None:
    """Cores of ml.m5.2xlarge, of which a large has two and an xlarge four; None where the rule does not hold."""
    match = _TYPE.fullmatch(instance_type)
    if match is None or not _GENERAL.fullmatch(match[1]):
        return None
    _, figure, size = match.groups()
    if size == "xlarge":
        return 4 * int(figure) if figure else 4
    return 2 if not figure and (size == "large" or match[1].startswith("t")) else None
