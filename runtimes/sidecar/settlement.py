"""Settlement: up to which record the pod's rows are in the table, and what became of them; survives the sidecar."""

import json
import os
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final

_FILE: Final = "acknowledged.json"


@dataclass(frozen=True, kw_only=True)
class Settlement:
    """What is settled. `written + too_large + dropped` records have a sequence of at most `sequence`."""

    sequence: int = 0
    """Records up to this one are in the table or dropped."""
    written: int = 0
    too_large: int = 0
    """Of those in the table, the ones without their request or answer."""
    dropped: int = 0
    """Records that the table writer refused for good, or that no longer can be read."""

    @classmethod
    def read(cls, directory: Path) -> "Settlement":
        """What the file in the folder says; nothing is settled where there is none."""
        try:
            return cls(**{key: int(value) for key, value in json.loads((directory / _FILE).read_text()).items()})
        except (OSError, ValueError, TypeError, AttributeError):
            return cls()

    def write(self, directory: Path) -> None:
        """Replaces the file at once, so that none is ever half written."""
        beside = directory / f"{_FILE}.new"
        beside.write_text(json.dumps(asdict(self)))
        os.replace(beside, directory / _FILE)

    def settled(self, sequence: int, *, written: int = 0, too_large: int = 0, dropped: int = 0) -> "Settlement":
        """With these records more."""
        return replace(
            self,
            sequence=sequence,
            written=self.written + written,
            too_large=self.too_large + too_large,
            dropped=self.dropped + dropped,
        )
