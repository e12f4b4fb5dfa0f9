"""Frames between the front and a worker: a kind, a small JSON object and raw bytes.

Layout, little-endian: u32 length of all that follows, u8 kind, u32 length of the JSON object, the object, the payload.
Both ends are our own and of one release, so the layout carries no version; the JSON object leaves room to add keys.
"""

from __future__ import annotations

import json
import struct
from enum import IntEnum
from typing import Any, NamedTuple

_PREFIX = struct.Struct("<IBI")
MAX_FRAME_BYTES = 1 << 30
"""A longer frame means that the stream is out of step; 64 bodies of 16 MiB fit."""


class Kind(IntEnum):
    """What a frame says. The comment names who sends it."""

    HELLO = 1  # worker: {"pid", "slot"}
    READY = 2  # worker: what the loaded model is, see loading.description; again when merging begins or ends
    FAILED = 3  # worker: {"reason"}: the model cannot be served, and why
    SCORE = 4  # front: {"call", "items": [[content type, length], ...], perhaps "trace"}, bodies one after the other
    SCORED = 5  # worker: {"call", "items": [[status, length], ...], of a SCORE "seconds", "checked", "differed"}
    # and "said" where something was written in the call, which is read before the call is over
    BEAT = 6  # worker, every second: the process schedules threads
    LEAVE = 7  # front: finish what runs, then exit
    STREAM = 8  # front: like SCORE with one item; the answer comes in pieces
    CHUNK = 9  # worker: {"call"}, one JSON document; SCORED follows the last, without a body when all went well
    CANCEL = 10  # front: {"call"}: nobody listens to this stream any more
    APART = 11  # front: {"reason"}: merge no requests any more
    EXAMPLE = 12  # worker, before its first READY: {"lengths"}: the model's input example and the answer to it
    PROVE = 13  # front, before any other call: like SCORE, of requests that protocols made of the example
    PROVED = 14  # worker: like SCORED; a status of 0: the model was not called again for it


class Frame(NamedTuple):
    """One received frame."""

    kind: int
    head: dict[str, Any]
    payload: bytes


def opening(kind: int, head: dict[str, Any], length: int) -> bytes:
    """What comes before a payload of so many bytes."""
    text = json.dumps(head, separators=(",", ":")).encode()
    return _PREFIX.pack(5 + len(text) + length, kind, len(text)) + text


def pack(kind: int, head: dict[str, Any], payload: bytes = b"") -> bytes:
    """The bytes of one frame."""
    return opening(kind, head, len(payload)) + payload


class Reader:
    """Cuts a byte stream into frames."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> None:
        """Adds received bytes."""
        self._buffer += data

    def next(self) -> Frame | None:
        """The next whole frame, or None until more bytes come. ValueError when the stream is out of step."""
        buffer = self._buffer
        if len(buffer) < _PREFIX.size:
            return None
        length, kind, head_length = _PREFIX.unpack_from(buffer)
        if length > MAX_FRAME_BYTES or head_length + 5 > length:
            raise ValueError(f"frame of {length} bytes with a head of {head_length} bytes is out of step")
        end = 4 + length
        if len(buffer) < end:
            return None
        head_end = _PREFIX.size + head_length
        with memoryview(buffer) as view:
            head = json.loads(bytes(view[_PREFIX.size : head_end]))
            payload = bytes(view[head_end:end])
        del buffer[:end]
        return Frame(kind, head, payload)


def split(payload: bytes, lengths: list[int]) -> list[bytes]:
    """Cuts a payload into consecutive parts of the given lengths."""
    parts = []
    start = 0
    for length in lengths:
        parts.append(payload[start : start + length])
        start += length
    return parts
