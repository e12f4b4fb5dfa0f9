"""Frames survive any cutting of the byte stream."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.runtimes.worker import frames

SENT = st.lists(
    st.tuples(
        st.sampled_from(list(frames.Kind)),
        st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5)),
        st.binary(max_size=50),
    ),
    max_size=5,
)


@given(SENT, st.integers(min_value=1, max_value=7))
def test_frames_come_out_as_they_went_in(sent: list[tuple[frames.Kind, dict[str, object], bytes]], step: int) -> None:
    stream = b"".join(frames.pack(kind, head, payload) for kind, head, payload in sent)
    reader = frames.Reader()
    received = []
    for start in range(0, len(stream), step):
        reader.feed(stream[start : start + step])
        while (frame := reader.next()) is not None:
            received.append((frame.kind, frame.head, frame.payload))

    assert received == sent


def test_a_stream_out_of_step_is_noticed() -> None:
    reader = frames.Reader()
    reader.feed(b"HTTP/1.1 200 OK\r\n")

    with pytest.raises(ValueError, match="out of step"):
        reader.next()


def test_a_payload_is_cut_by_lengths() -> None:
    assert frames.split(b"aabbbc", [2, 3, 0, 1]) == [b"aa", b"bbb", b"", b"c"]
