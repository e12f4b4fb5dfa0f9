"""JSON parts of inference requests without their data, the last ones of which are kept as they were read. Pure.

A client asks with the same names, datatypes and shapes again and again. Of a request with an input for each column they
are most of the text, and reading them takes most of the time: what is the same as before is compared, not read.
"""

import functools
from typing import Final, NamedTuple

import orjson

from headrace.contract.errors import InputError
from headrace.runtimes.protocols import doubles, open_inference
from headrace.runtimes.protocols.doubles import Doubles, Header
from headrace.runtimes.protocols.open_inference import InferRequest

MOST_BYTES: Final = 16 * 1024
"""Of what is kept of a request."""
_MOST_INPUTS: Final = MOST_BYTES // len(b'{"data":[]}')
KEPT: Final = 64
"""A client has one for each number of rows that it sends at a time."""
_DATA: Final = b'"data":'


class Read(NamedTuple):
    """A request whose inputs are doubles."""

    said: InferRequest
    """All but the inputs."""
    inputs: Doubles


class _Known(NamedTuple):
    said: InferRequest
    inputs: Header


def read_json(body: bytes) -> Read | None:
    """A request whose data are lists of numbers; None where it is anything else or has a fault, or much beside data.

    A quote within a string is escaped, so that `"data":` is a key wherever it stands.
    """
    first, *pieces = body.split(_DATA, _MOST_INPUTS)
    lists, rest = [], [first]
    for piece in pieces:
        end = piece.find(b"]") + 1
        lists.append(piece[:end])
        rest.append(piece[end:])
    text = b'"data":[]'.join(rest)
    known = _known(text, binary=False) if len(text) <= MOST_BYTES else None
    if known is None or len(known.inputs.names) != len(lists):
        return None
    try:
        data = orjson.loads(b"[%s]" % b",".join(lists))
    except orjson.JSONDecodeError:
        return None
    inputs = doubles.of_lists(known.inputs.names, known.inputs.shape, data) if len(data) == len(lists) else None
    return None if inputs is None else Read(known.said, inputs)


def read_binary(text: bytes, raw: bytes) -> Read | None:
    """A request whose inputs are all in the bytes that follow its JSON part; None where it is anything else."""
    known = _known(text, binary=True) if len(text) <= MOST_BYTES else None
    if known is None or len(raw) != known.inputs.size:
        return None
    inputs = doubles.of_bytes(known.inputs.names, known.inputs.shape, raw)
    return None if inputs is None else Read(known.said, inputs)


@functools.lru_cache(maxsize=KEPT)
def _known(text: bytes, *, binary: bool) -> _Known | None:
    try:
        document = orjson.loads(text)
        inputs = doubles.of_header(document, binary=binary)
        return None if inputs is None else _Known(open_inference.around(document), inputs)
    except (orjson.JSONDecodeError, InputError):
        return None
