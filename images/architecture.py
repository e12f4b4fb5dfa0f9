"""Architecture: the processors that an image runs on, by the names that each of the tools has for them."""

import platform
from enum import StrEnum
from pathlib import Path
from typing import Final


class Architecture(StrEnum):
    """A processor architecture, as OCI images, Debian and Kubernetes' label `kubernetes.io/arch` call it."""

    AMD64 = "amd64"
    ARM64 = "arm64"

    @property
    def machine(self) -> str:
        """As the kernel, wheels and uv call it."""
        return _MACHINES[self]

    @property
    def libraries(self) -> str:
        """Debian's folder of libraries in /usr/lib."""
        return f"{self.machine}-linux-gnu"


_MACHINES: Final = {Architecture.AMD64: "x86_64", Architecture.ARM64: "aarch64"}
_ELF_MACHINES: Final = {62: Architecture.AMD64.machine, 183: Architecture.ARM64.machine, 3: "i386", 40: "arm"}
"""`e_machine` of the ELF specification; others are told by their number."""
_ELF_HEADER: Final = 20
"""Bytes up to the end of `e_machine`."""


def of_this_machine() -> Architecture:
    """What runs here; a Mac with Apple's processors runs containers for arm64."""
    return Architecture.ARM64 if platform.machine() in {"aarch64", "arm64"} else Architecture.AMD64


def machine_of(file: Path) -> str | None:
    """The machine that a compiled program or library is for, for example aarch64; None for what is no ELF file."""
    with file.open("rb") as opened:
        head = opened.read(_ELF_HEADER)
    if len(head) < _ELF_HEADER or not head.startswith(b"\x7fELF"):
        return None
    order = "little" if head[5] == 1 else "big"
    number = int.from_bytes(head[18:20], order)  # type: ignore[arg-type]
    return _ELF_MACHINES.get(number, f"machine {number}")
