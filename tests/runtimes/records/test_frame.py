"""Frames: what is written is read, and what is torn is not."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.runtimes.records.frame import Frame, decoded, encoded, frames_in, sequence_of
from tests.runtimes.records.record_frames import frame, meta

PAYLOADS = st.one_of(st.none(), st.binary(max_size=400))


@given(st.integers(1, 2**63), PAYLOADS, PAYLOADS, st.text(max_size=20))
def test_what_is_encoded_is_decoded(sequence: int, request: bytes | None, response: bytes | None, path: str) -> None:
    path = path.encode("utf-8", "replace").decode()
    written = Frame(sequence, meta(path=path), request, response)
    [found] = frames_in(encoded(written))

    assert decoded(found.body) == written
    assert sequence_of(found.body) == sequence


@given(st.lists(PAYLOADS, min_size=1, max_size=6), st.data())
def test_of_a_torn_file_all_whole_frames_are_found_and_nothing_else(requests: list[Any], data: st.DataObject) -> None:
    frames = [encoded(frame(at, request)) for at, request in enumerate(requests, start=1)]
    whole = b"".join(frames)
    cut = data.draw(st.integers(0, len(whole)))
    expected = sum(1 for at in range(len(frames)) if len(b"".join(frames[: at + 1])) <= cut)

    assert [sequence_of(found.body) for found in frames_in(whole[:cut])] == list(range(1, expected + 1))


@given(st.data())
def test_a_changed_byte_is_noticed(data: st.DataObject) -> None:
    whole = bytearray(encoded(frame(1, b"abc", b"def")))
    at = data.draw(st.integers(0, len(whole) - 1))
    whole[at] ^= data.draw(st.integers(1, 255))

    assert list(frames_in(bytes(whole))) == []


def test_a_frame_of_another_release_is_refused() -> None:
    [found] = frames_in(encoded(Frame(3, (1, 2), b"", b"")))  # type: ignore[arg-type]  # fewer fields

    with pytest.raises(ValueError, match="not of this release"):
        decoded(found.body)
