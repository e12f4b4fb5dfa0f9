"""Rows of plain JSON values to the DataFrame that a model with a column signature receives, without MLflow's detour.

MLflow builds a DataFrame, casts it column by column, checks it column by column and builds it again: about 1 ms for
one row of 30 columns. Here many requests become one DataFrame in one step. Only what can be nothing but right is
taken: every value must have the one JSON type that its column's type means. For everything else the answer is None,
and the request goes through MLflow's own functions. `equivalence_check` proves at load that both ways hand the
model the same.
"""

from __future__ import annotations

# ruff: noqa: B905 -- zip(strict=) came with Python 3.10 and a model's Python may be older.
from itertools import chain
from typing import Any

from .layout import Layout

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
_INTEGER_BOUNDS = {"long": (-(1 << 63), (1 << 63) - 1), "integer": (-(1 << 31), (1 << 31) - 1)}

Rows = "list[Any]"  # each row: a list or tuple of values in the order of the signature


class Columns(Layout):
    """The signature of named scalar columns."""

    def __init__(self, names: list[str], types: list[str], numpy: Any, pandas: Any) -> None:
        super().__init__(names)
        self.types = types
        self.nulls = False
        """Whether null is taken as a missing number; `equivalence_check` finds out."""
        self.dtypes: list[Any] = []
        """What each column's dtype is when MLflow builds it; `equivalence_check` finds out."""
        self.apart = False
        """Whether columns of one type have memory of their own each when MLflow builds them: `equivalence_check`."""
        self.forms: set[str] = set()
        """Input forms that `equivalence_check` proved."""
        self._numpy = numpy
        self._pandas = pandas
        self._index = pandas.Index(names)
        self._one_type = types[0] if len(set(types)) == 1 and types[0] in ("double", "long", "float") else None

    @classmethod
    def of(cls, schema: Any, numpy: Any, pandas: Any) -> Columns | None:
        """The plan for a signature; None when it has tensors, nested or unnamed columns, dates or binaries."""
        if schema is None or schema.is_tensor_spec() or not schema.has_input_names():
            return None
        types = [str(getattr(kind, "name", "")) for kind in schema.input_types()]
        names = schema.input_names()
        if not types or any(kind not in _JSON_TYPES for kind in types) or len(set(names)) != len(names):
            return None
        return cls(names, types, numpy, pandas)

    def suits(self, rows: list[Any]) -> bool:
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

    def build(self, rows: list[Any]) -> Any:
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
        return pandas.DataFrame(built, copy=not self.apart)

    @property
    def packs(self) -> bool:
        """Whether requests may come as raw doubles: every column is a floating-point number."""
        return self._one_type in ("double", "float") and "dataframe_split" in self.forms

    def unpack(self, doubles: bytes) -> Any:
        """Raw doubles as an array of rows."""
        return self._numpy.frombuffer(doubles, dtype=self._numpy.float64).reshape(-1, len(self.names))

    def unpack_labelled(self, packed: bytes) -> tuple[Any, Any]:
        """Rows of raw doubles as an array, and the whole numbers that follow them, one for each row."""
        numpy, width = self._numpy, len(self.names)
        count = len(packed) // (8 * (width + 1))
        rows = numpy.frombuffer(packed, dtype=numpy.float64, count=count * width).reshape(-1, width)
        return rows, numpy.frombuffer(packed, dtype=numpy.int64, offset=8 * count * width)

    def document(self, rows: Any) -> dict[str, Any]:
        """The request that an array of rows stands for."""
        return {"dataframe_split": {"columns": self.names, "data": rows.tolist()}}

    def join(self, parts: list[Any]) -> Any:
        """Rows of several requests, lists or arrays, as one array."""
        return self._numpy.concatenate([self._numpy.asarray(part, dtype=self._numpy.float64) for part in parts])

    def build_block(self, rows: Any) -> Any:
        """The DataFrame of an array of rows, for a model whose columns are all of one number type."""
        block = self._numpy.ascontiguousarray(rows.T)
        if self._one_type == "float":
            block = block.astype(self._numpy.float32)
        if self.apart:
            return self._pandas.DataFrame(dict(zip(self.names, block)), copy=False)
        return self._pandas.DataFrame(block.T, columns=self._index.view(), copy=False)  # a model may name its columns

    def _types(self, kind: str) -> frozenset[type]:
        types = _JSON_TYPES[kind]
        return types | {NONE} if self.nulls and kind in ("double", "float") else types
