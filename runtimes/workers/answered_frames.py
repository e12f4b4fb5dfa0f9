"""What a worker's frame of answers says of each request."""

from headrace.runtimes.calls import Outcome
from headrace.runtimes.protocols import errors
from headrace.runtimes.protocols.answers import Answer
from headrace.runtimes.worker import frames


def outcomes(frame: frames.Frame) -> list[Outcome]:
    """The outcome of each request of a batch."""
    return [_outcome(*answer) for answer in _answers(frame)]


def proven_outcomes(frame: frames.Frame) -> list[Outcome | None]:
    """As `outcomes`, of the requests of a proof; None where the model was not asked."""
    return [_outcome(status, body) if status else None for status, body in _answers(frame)]


def _answers(frame: frames.Frame) -> list[tuple[int, bytes]]:
    """Status and body of each answer."""
    items = frame.head["items"]
    bodies = frames.split(frame.payload, [length for _, length in items])
    return [(status, body) for (status, _), body in zip(items, bodies, strict=True)]


def _outcome(status: int, body: bytes) -> Outcome:
    return Answer(200, body) if status == 200 else errors.of_worker(status, body)
