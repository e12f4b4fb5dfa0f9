"""JSON of many requests or answers, read and written in one step: each one's start costs as much as a row."""

from __future__ import annotations

import json
import logging
from itertools import chain
from typing import Any

log = logging.getLogger("headrace.worker")


def parsed(bodies: list[bytes]) -> list[Any]:
    """The JSON documents of several bodies; None, which no form takes, where MLflow has to word a refusal.

    The front lets only whole, valid documents through, so that all of them are read as one list: the parser's start
    costs as much as a row.
    """
    try:
        documents: list[Any] = json.loads(b"[" + b",".join(bodies) + b"]")
        if len(documents) == len(bodies):
            return documents
    except ValueError:
        log.debug("a batch holds a document that the standard library does not read")
    documents = []
    for body in bodies:
        try:
            documents.append(json.loads(body))
        except ValueError:
            documents.append(None)
    return documents


_PLAIN = frozenset((int, float, bool))


def written(result: list[Any], dump: Any) -> list[str] | None:
    """The JSON texts of the items of a result, all made at once; None where items must be written with their answer.

    `dump` writes what JSON cannot carry as null; numbers have no comma in their text, hence the split.
    """
    kinds = set(map(type, result))
    if kinds <= _PLAIN:
        texts = dump(result).decode()[1:-1].split(", ")
        return texts if len(texts) == len(result) else None
    if kinds == {str}:
        return [json.encoder.encode_basestring_ascii(item) for item in result]
    if kinds == {list} and all(result) and set(map(type, chain.from_iterable(result))) <= _PLAIN:
        texts = dump(result).decode()[2:-2].split("], [")
        return [f"[{text}]" for text in texts] if len(texts) == len(result) else None
    return None
