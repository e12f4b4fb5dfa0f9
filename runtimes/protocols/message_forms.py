"""Forms of gRPC requests: messages that differ in nothing but their address, their id and their doubles. Pure.

Clients ask in the same words again and again, and of a message with an input for each column, reading what protobuf has
parsed takes many times as long as the parser. A form is the bytes of such a message without its doubles:
one that equals them needs no parser. Each form is proven before it is used: with other doubles in their place it must
parse to the same inputs, with these doubles.
"""

import array
import os
import struct
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple

from headrace.runtimes.protocols import doubles, inference_messages, messages
from headrace.runtimes.protocols.doubles import Doubles
from headrace.runtimes.protocols.open_inference import InferRequest

MOST_FORMS: Final = 64
"""A client has one for each number of rows that it sends at a time."""
MOST_BYTES: Final = 64 * 1024
"""Of a message: in longer ones, what each field costs is little beside its doubles."""
LEARNT_AFTER: Final = 4
"""Messages of one length, so that a caller who never asks in the same words twice costs no proofs."""
_ADDRESS: Final = frozenset((0x0A, 0x12, 0x1A))
"""Tags of model_name, model_version and id, the first fields of a ModelInferRequest."""
_SHORT: Final = 0x80
"""Lengths below it are one byte of a varint."""


@dataclass(frozen=True, kw_only=True)
class Form:
    """What follows address and id in messages of one form."""

    layout: struct.Struct
    """Pieces that are the same in each of them and the bytes of each input's doubles, by turns."""
    same: tuple[bytes, ...]
    names: list[str]
    shape: tuple[int, ...]
    said: InferRequest
    """All that such a message says, but for address, id and inputs."""


class Known(NamedTuple):
    """A message of a form."""

    address: Any
    """A message with its model, version and id."""
    said: InferRequest
    packed: bytes


class MessageForms:
    """The forms that were seen, one for each length."""

    def __init__(self) -> None:
        self._forms: dict[int, Form] = {}
        self._seen: Counter[int] = Counter()

    def read(self, data: bytes, pack: Callable[[Doubles], bytes | None]) -> Known | None:
        """What a ModelInferRequest says; None where its form is not known, or its inputs cannot be packed."""
        at = _address_ends(data)
        form = self._forms.get(len(data) - at)
        if form is None:
            return None
        pieces = form.layout.unpack_from(data, at)
        if pieces[::2] != form.same:
            return None
        inputs = doubles.of_bytes(form.names, form.shape, b"".join(pieces[1::2]))
        packed = pack(inputs) if inputs is not None else None
        address = messages.parsed("ModelInferRequest", data[:at])
        return None if packed is None or address is None else Known(address, form.said, packed)

    def learn(self, data: bytes, request: InferRequest, inputs: Doubles) -> None:
        """Takes up the form of a message that was read field by field."""
        at = _address_ends(data)
        length = len(data) - at
        if len(data) > MOST_BYTES or len(self._forms) == MOST_FORMS or length in self._forms:
            return
        self._seen[length] += 1
        if self._seen[length] == LEARNT_AFTER:
            form = _form(data[at:], request, inputs)
            if form is not None and _holds(form, inputs):
                self._forms[length] = form
        elif len(self._seen) > 16 * MOST_FORMS:
            self._seen.clear()


def _address_ends(data: bytes) -> int:
    """Where the first field after address and id begins, where these come first and are short, as clients send them."""
    at, length = 0, len(data)
    while at + 1 < length and data[at] in _ADDRESS and data[at + 1] < _SHORT:
        at += 2 + data[at + 1]
    return min(at, length)


def _form(rest: bytes, request: InferRequest, inputs: Doubles) -> Form | None:
    """The form that a message seems to have, by where the bytes of its doubles are; None where they are not found."""
    blocks = _blocks(inputs, doubles.to_bytes(inputs.values))
    same, layout, begin = [], ["<"], 0
    for block in blocks:
        found = rest.find(block, begin)
        if found < 0:
            return None
        same.append(rest[begin:found])
        layout.append(f"{found - begin}s{len(block)}s")
        begin = found + len(block)
    same.append(rest[begin:])
    layout.append(f"{len(rest) - begin}s")
    return Form(
        layout=struct.Struct("".join(layout)), same=tuple(same), names=inputs.names, shape=inputs.shape,
        said=replace(request, identity=None, packed=None),
    )  # fmt: skip


def _holds(form: Form, inputs: Doubles) -> bool:
    """Whether other doubles in the places of these make a message with the same inputs, and with them."""
    others = array.array("d", [int.from_bytes(os.urandom(6)) / 2**20 for _ in inputs.values])
    pieces: list[bytes] = []
    for same, block in zip(form.same, _blocks(inputs, doubles.to_bytes(others)), strict=False):
        pieces += (same, block)
    message = messages.parsed("ModelInferRequest", b"".join((*pieces, form.same[-1])))
    if message is None or inference_messages.around(message) != form.said:
        return False
    return doubles.of_message(message) == Doubles(inputs.names, inputs.shape, others)


def _blocks(inputs: Doubles, data: bytes) -> list[bytes]:
    """The bytes of each input's doubles."""
    size = len(data) // len(inputs.names)
    return [data[begin : begin + size] for begin in range(0, len(data), size)]
