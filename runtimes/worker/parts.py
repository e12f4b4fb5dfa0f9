"""Requests that take the fast way, and the one input of a model that several of them become."""

from __future__ import annotations

from typing import Any, NamedTuple

from . import labels

PACKED = "application/x-headrace-packed"
"""A table or tensor of numbers that the front has packed, see `front.packing`."""
LABELLED = "application/x-headrace-packed-labelled"
"""The same of a table whose rows the caller named by whole numbers: these follow."""


class Part(NamedTuple):
    """One request that takes the fast way."""

    place: int
    """Its place among the requests of the frame."""
    rows: Any
    """A list of rows or an array of them."""
    labels: Any = None
    """What the caller calls them, a list or an array of one label a row; None where it does not name them."""


def unpacked(place: int, content_type: str, body: bytes, plan: Any) -> Part | None:
    """What the front has packed; None where it has not."""
    if content_type == PACKED:
        return Part(place, plan.unpack(body))
    return Part(place, *plan.unpack_labelled(body)) if content_type == LABELLED else None


def document(part: Part, plan: Any) -> dict[str, Any]:
    """The request that a packed part stands for."""
    told: dict[str, Any] = plan.document(part.rows)
    if part.labels is not None:
        told["dataframe_split"]["index"] = part.labels.tolist()
    return told


def built(parts: list[Part], plan: Any, libraries: tuple[Any, Any]) -> Any:
    """The model's input for the rows of one or more requests."""
    tables = [part.rows for part in parts]
    if all(type(table) is list for table in tables):
        data = plan.build(tables[0] if len(tables) == 1 else [row for table in tables for row in table])
    else:
        data = plan.build_block(plan.join(tables))
    if all(part.labels is None for part in parts):
        return data
    pandas, numpy = libraries
    return labels.put(data, labels.joined([(len(part.rows), part.labels) for part in parts], numpy), pandas)


def has_null(part: Part) -> bool:
    """Whether a number is missing."""
    return type(part.rows) is list and any(None in row for row in part.rows)
