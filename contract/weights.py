"""Weights: a model's large files that are no layer of its image, as the image lists them.

The builder reads each file once and writes the list; the pod copies the files beside the model and believes no byte
that the list does not bear out. In the model's directory a link stands for each: it leads to the file by its digest, so
that models that share a file, as versions of one model do, share its copy.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from headrace.contract.codec import decode, encode

PART_BYTES: Final = 16 * 1024 * 1024
"""Read with one request and checked by itself. Amazon advises 8 to 16 MB for ranged reads of S3; a list of 140 GB of
weights has 600 kB."""
MANIFEST_PATH: Final = "/opt/model/weights.json"
"""The list, in the image."""
WEIGHTS_HOME: Final = "/opt/model/weights"
"""Where the pod mounts the files, each named by its digest."""
ENV_SOURCE: Final = "HEADRACE_WEIGHTS_SOURCE"
"""Artifact URI of the model's directory."""
ENV_TRACKING_URI: Final = "HEADRACE_WEIGHTS_TRACKING_URI"
"""MLflow server that hands out an artifact URI of the scheme mlflow-artifacts."""
ENV_LIMIT: Final = "HEADRACE_WEIGHTS_LIMIT_BYTES"
"""What all files of WEIGHTS_HOME together may take. Absent: what the volume has."""
COMMAND: Final = "weights"
"""Argument of the image's entrypoint with which it copies the weights and ends."""


@dataclass(frozen=True, kw_only=True)
class WeightsFile:
    """One file."""

    path: str
    """In the model's directory."""
    size: int
    """Bytes."""
    parts: tuple[str, ...]
    """SHA-256 of each part of PART_BYTES, the last of which may be shorter, in hexadecimal."""

    @property
    def digest(self) -> str:
        """What it is known by: the SHA-256 of its parts' SHA-256s, as S3 has it for objects of several parts."""
        return hashlib.sha256(b"".join(map(bytes.fromhex, self.parts))).hexdigest()

    def part_size(self, number: int) -> int:
        """Bytes of a part, counted from 0."""
        return min(PART_BYTES, self.size - number * PART_BYTES)


@dataclass(frozen=True, kw_only=True)
class WeightsManifest:
    """All weights of one model."""

    files: tuple[WeightsFile, ...]

    @property
    def size(self) -> int:
        """Bytes of all files; one that the model has twice is stored once."""
        return sum({file.digest: file.size for file in self.files}.values())

    def to_json(self) -> dict[str, Any]:
        return dict(encode(self))

    @classmethod
    def from_json(cls, value: Any) -> "WeightsManifest":
        """Reads what `to_json` wrote; raises InputError with every fault."""
        return decode(cls, value)


def hashed(path: str, chunks: Iterable[bytes]) -> WeightsFile:
    """The file whose content is `chunks`, one after the other, of any sizes."""
    parts: list[str] = []
    size, part = 0, hashlib.sha256()
    for chunk in chunks:
        view = memoryview(chunk)
        while view:
            room = PART_BYTES - size % PART_BYTES
            part.update(view[:room])
            size += len(view[:room])
            view = view[room:]
            if size % PART_BYTES == 0:
                parts.append(part.hexdigest())
                part = hashlib.sha256()
    if size % PART_BYTES:
        parts.append(part.hexdigest())
    return WeightsFile(path=path, size=size, parts=tuple(parts))
