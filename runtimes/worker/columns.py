"""Rows of plain JSON values to the DataFrame that a model with a column signature receives, without MLflow's detour.

MLflow builds a DataFrame, casts it column by column, checks it column by column and builds it again: about 1 ms for
one row of 30 columns. Here many requests become one DataFrame in one step. Only what can be nothing but right is
taken: every value must have the one JSON type that its column's type means. For everything else the answer is None,
and the request goes through MLflow's own functions. `trial` proves at load that both ways hand the model the same.
"""

# ruff: noqa: B905 -- zip(strict=) came with Python 3.10 and a model's Python may be older.

import operator
from itertools import chain
from typing import Any

NONE = type(None)
_JSON_TYPES = {
    "double": frozenset((float, int)),
    "float": frozenset((float, int)),
    "long": frozenset((int,)),
    "integer": frozenset((int,)),
    "boolean": frozenset((bool,)),
    "string": frozenset((str,)),
}
"""Types that json.loads gives for a value that certainly suits a column of the type. `type() is`: bool is no int."""
_FORMS = ("dataframe_split", "dataframe_records", "inputs", "instances")
_UNIFIED = frozenset(("messages", "prompt", "input"))
"""Keys of the unified LLM format, which MLflow hands to the model whole."""
_INTEGER_BOUNDS = {"long": (-(1 << 63), (1 << 63) - 1), "integer": (-(1 << 31), (1 << 31) - 1)}

Rows = "list[Any]"  # each row: a list or tuple of values in the order of the signature


def form_of(document: Any) -> "str | None":
    """The one input form of a request without params; None when MLflow must look at it."""
    if type(document) is not dict or document.get("params") is not None or not _UNIFIED.isdisjoint(document):
        return None
    found = [form for form in _FORMS if form in document]
    return found[0] if len(found) == 1 else None


class Columns:
    """The signature of named scalar columns."""

    def __init__(self, names: "list[str]", types: "list[str]", numpy: Any, pandas: Any) -> None:
        self.names = names
        self.types = types
        self.nulls = False
        """Whether null is taken as a missing number; `trial` finds out."""
        self.dtypes: list[Any] = []
        """What each column's dtype is when MLflow builds it; `trial` finds out."""
        self.apart = False
        """Whether columns of one type have memory of their own each when MLflow builds them; `trial` finds out."""
        self.forms: set[str] = set()
        """Input forms that `trial` proved."""
        self._numpy = numpy
        self._pandas = pandas
        self._index = pandas.Index(names)
        self._pick = operator.itemgetter(*names) if len(names) > 1 else lambda record: (record[names[0]],)
        self._orders: dict[tuple[Any, ...], tuple[int, ...] | None] = {}
        self._one_type = types[0] if len(set(types)) == 1 and types[0] in ("double", "long", "float") else None

    @classmethod
    def of(cls, schema: Any, numpy: Any, pandas: Any) -> "Columns | None":
        """The plan for a signature; None when it has tensors, nested or unnamed columns, dates or binaries."""
        if schema is None or schema.is_tensor_spec() or not schema.has_input_names():
            return None
        types = [str(getattr(kind, "name", "")) for kind in schema.input_types()]
        names = schema.input_names()
        if not types or any(kind not in _JSON_TYPES for kind in types) or len(set(names)) != len(names):
            return None
        return cls(names, types, numpy, pandas)

    def rows(self, form: str, document: Any) -> "list[Any] | None":
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

    def suits(self, rows: "list[Any]") -> bool:
        """Whether every value is certainly right for its column."""
        if self._one_type is not None and self._one_type != "long":
            return set(map(type, chain.from_iterable(rows))) <= self._types(self._one_type)
        for kind, values in zip(self.types, zip(*rows)):
            if not set(map(type, values)) <= self._types(kind):
                return False
            if kind == "string" and "\0" in "".join(values):
                return False  # on some ways through MLflow numpy drops a trailing NUL
            bounds = _INTEGER_BOUNDS.get(kind)
            if bounds is not None and not (bounds[0] <= min(values) and max(values) <= bounds[1]):
                return False
        return True

    def build(self, rows: "list[Any]") -> Any:
        """The DataFrame of rows that suit; the same blocks in the same memory order as MLflow's."""
        numpy, pandas = self._numpy, self._pandas
        if self._one_type is not None:
            return self.build_block(numpy.array(rows, dtype=numpy.int64 if self._one_type == "long" else numpy.float64))
        built = {}
        for name, kind, dtype, values in zip(self.names, self.types, self.dtypes, zip(*rows)):
            if kind in ("double", "float"):
                built[name] = numpy.array(values, dtype=numpy.float64).astype(dtype, copy=False)
            elif kind == "string":
                built[name] = pandas.Series(list(values), dtype=dtype)
            else:
                built[name] = numpy.array(values, dtype=dtype)
        return pandas.DataFrame(built)

    @property
    def one_type(self) -> bool:
        """Whether all columns are of one number type, hence may be one block of memory."""
        return self._one_type is not None

    @property
    def packs(self) -> bool:
        """Whether requests may come as raw doubles: every column is a floating-point number."""
        return self._one_type in ("double", "float") and "dataframe_split" in self.forms

    def unpack(self, doubles: bytes) -> Any:
        """Raw doubles as an array of rows."""
        return self._numpy.frombuffer(doubles, dtype=self._numpy.float64).reshape(-1, len(self.names))

    def document(self, doubles: bytes) -> "dict[str, Any]":
        """The request that raw doubles stand for."""
        return {"dataframe_split": {"columns": self.names, "data": self.unpack(doubles).tolist()}}

    def join(self, parts: "list[Any]") -> Any:
        """Rows of several requests, lists or arrays, as one array."""
        return self._numpy.concatenate([self._numpy.asarray(part, dtype=self._numpy.float64) for part in parts])

    def build_block(self, rows: Any) -> Any:
        """The DataFrame of an array of rows, for a model whose columns are all of one number type."""
        block = self._numpy.ascontiguousarray(rows.T)
        if self._one_type == "float":
            block = block.astype(self._numpy.float32)
        if self.apart:
            return self._pandas.DataFrame(dict(zip(self.names, block)), copy=False)
        return self._pandas.DataFrame(block.T, columns=self._index, copy=False)

    def _types(self, kind: str) -> "frozenset[type]":
        types = _JSON_TYPES[kind]
        return types | {NONE} if self.nulls and kind in ("double", "float") else types

    def _split_rows(self, value: Any) -> "list[Any] | None":
        if type(value) is not dict or set(value) != {"columns", "data"}:
            return None
        data, columns = value["data"], value["columns"]
        if type(data) is not list or type(columns) is not list or not data or set(map(type, data)) != {list}:
            return None
        if set(map(len, data)) != {len(columns)} or set(map(type, columns)) != {str}:
            return None
        order = self._order(tuple(columns))
        if order is None:
            return None
        if order == tuple(range(len(columns))):
            return data
        if len(order) == 1:
            return [(row[order[0]],) for row in data]
        return list(map(operator.itemgetter(*order), data))

    def _column_rows(self, value: "dict[str, Any]") -> "list[Any] | None":
        try:
            columns = [value[name] for name in self.names]
        except KeyError:
            return None
        if len(value) != len(columns) or set(map(type, columns)) != {list}:
            return None
        if len(set(map(len, columns))) != 1 or not columns[0]:
            return None
        return list(zip(*columns))

    def _order(self, columns: "tuple[Any, ...]") -> "tuple[int, ...] | None":
        if columns not in self._orders:
            if len(self._orders) > 256:  # callers choose column lists; the memory for them stays bounded
                self._orders.clear()
            known = len(set(columns)) == len(columns) and set(self.names) <= set(columns)
            self._orders[columns] = tuple(columns.index(name) for name in self.names) if known else None
        return self._orders[columns]
