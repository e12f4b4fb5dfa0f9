"""Where a JSON request for named columns has its rows, and what it calls them. Standard library alone.

Front and worker read requests by this one rule: what the front packs is what the worker would have taken. Only what
can be nothing but right is taken; None means that MLflow must look at the request.
"""

from __future__ import annotations

# ruff: noqa: B905 -- zip(strict=) came with Python 3.10 and a model's Python may be older.
import operator
from typing import Any

_FORMS = ("dataframe_split", "dataframe_records", "inputs", "instances")
UNIFIED = frozenset(("messages", "prompt", "input"))
"""Keys of the unified LLM format, which MLflow hands to the model whole."""
_SPLIT_KEYS = frozenset(("columns", "data"))
_LABEL_TYPES = frozenset((int, str, float, bool, type(None)))
_MOST_ORDERS = 256


def form_of(document: Any) -> str | None:
    """The one input form of a request without params; None when MLflow must look at it."""
    if type(document) is not dict or document.get("params") is not None or not UNIFIED.isdisjoint(document):
        return None
    found = [form for form in _FORMS if form in document]
    return found[0] if len(found) == 1 else None


class Layout:
    """The named columns of a signature, in its order."""

    def __init__(self, names: list[str]) -> None:
        self.names = names
        self._pick = operator.itemgetter(*names) if len(names) > 1 else lambda record: (record[names[0]],)
        self._orders: dict[tuple[Any, ...], tuple[int, ...] | None] = {}

    def plain_rows(self, document: Any) -> list[Any] | None:
        """The rows of a request that is nothing but `dataframe_split` in the signature's order, as most are.

        None where `rows` has to look: it takes these requests, too, and gives the same.
        """
        if type(document) is not dict or len(document) != 1:
            return None
        split = document.get("dataframe_split")
        if type(split) is not dict or len(split) != 2 or split.get("columns") != self.names:
            return None
        data = split.get("data")
        if type(data) is not list or not data or set(map(type, data)) != {list}:
            return None
        return data if set(map(len, data)) == {len(self.names)} else None

    def rows(self, form: str, document: Any) -> list[Any] | None:
        """The rows of one request in the signature's order; None when MLflow must look at it."""
        value = document[form]
        if form == "dataframe_split":
            return self._split_rows(value)
        if form == "inputs" and type(value) is dict:
            return self._column_rows(value)
        if type(value) is not list or not value or set(map(type, value)) != {dict}:
            return None
        if form == "instances" and set(map(len, value)) != {len(self.names)}:
            return None  # MLflow makes columns of them, further ones too, and refuses ragged ones
        try:
            return [self._pick(record) for record in value]
        except KeyError:
            return None

    @staticmethod
    def labels(form: str, document: Any) -> list[Any] | None:
        """What a request that has rows calls them (`index`): a label a row; empty when it does not name them.

        None when MLflow must look at them: lists become an index of several levels, and what is too long is refused.
        """
        value = document[form].get("index") if form == "dataframe_split" else None
        if value is None:
            return []
        if type(value) is not list or len(value) != len(document[form]["data"]):
            return None
        kinds = set(map(type, value))
        if not kinds <= _LABEL_TYPES:
            return None
        if int in kinds and not all(-(1 << 63) <= label < 1 << 63 for label in value if type(label) is int):
            return None
        return value

    def _split_rows(self, value: Any) -> list[Any] | None:
        if type(value) is not dict or value.keys() - {"index"} != _SPLIT_KEYS:
            return None
        data, columns = value["data"], value["columns"]
        if type(data) is not list or type(columns) is not list or not data or set(map(type, data)) != {list}:
            return None
        if set(map(len, data)) != {len(columns)} or set(map(type, columns)) != {str}:
            return None
        if columns == self.names:
            return data
        order = self._order(tuple(columns))
        if order is None:
            return None
        if len(order) == 1:
            return [(row[order[0]],) for row in data]
        return list(map(operator.itemgetter(*order), data))

    def _column_rows(self, value: dict[str, Any]) -> list[Any] | None:
        try:
            columns = [value[name] for name in self.names]
        except KeyError:
            return None
        if len(value) != len(columns) or set(map(type, columns)) != {list}:
            return None
        if len(set(map(len, columns))) != 1 or not columns[0]:
            return None
        return list(zip(*columns))

    def _order(self, columns: tuple[Any, ...]) -> tuple[int, ...] | None:
        if columns not in self._orders:
            if len(self._orders) > _MOST_ORDERS:  # callers choose column lists; the memory for them stays bounded
                self._orders.clear()
            known = len(set(columns)) == len(columns) and set(self.names) <= set(columns)
            self._orders[columns] = tuple(columns.index(name) for name in self.names) if known else None
        return self._orders[columns]
