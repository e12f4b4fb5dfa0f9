"""Nested JSON lists to the array that a model with one unnamed tensor receives, many requests in one step.

As in `columns`, whatever is not certainly right is left to MLflow; `equivalence_check` proves that both agree.
"""

from __future__ import annotations

from typing import Any

_KINDS = "fiu"
"""numpy kinds taken: real numbers. Others (text, bytes, complex) go through MLflow."""


class Tensor:
    """The signature of one unnamed tensor whose first dimension is free and whose others are fixed."""

    def __init__(self, shape: tuple[int, ...], dtype: Any, numpy: Any) -> None:
        self.shape = shape
        self.dtype = dtype
        self.forms: set[str] = set()
        self.numpy = numpy

    @classmethod
    def of(cls, schema: Any, numpy: Any) -> Tensor | None:
        """The plan for a signature; None when it is not of this kind."""
        if schema is None or not schema.is_tensor_spec() or schema.has_input_names():
            return None
        spec = schema.inputs[0]
        if spec.type.kind not in _KINDS or not spec.shape or spec.shape[0] != -1 or -1 in spec.shape[1:]:
            return None
        return cls(tuple(spec.shape[1:]), spec.type, numpy)

    def rows(self, form: str, document: Any) -> list[Any] | None:
        """The rows of one request."""
        value = document[form]
        return value if form in ("inputs", "instances") and type(value) is list and value else None

    def suits(self, rows: list[Any]) -> bool:
        """Whether every value is a number that the tensor's type takes as it is."""
        wanted = {float, int} if self.dtype.kind == "f" else {int}
        level = rows
        for length in self.shape:
            if set(map(type, level)) != {list} or set(map(len, level)) != {length}:
                return False
            level = [value for row in level for value in row]
        if not set(map(type, level)) <= wanted or not level:
            return False
        if self.dtype.kind == "f":
            return True
        bounds = self.numpy.iinfo(self.dtype)
        return bool(bounds.min <= min(level) and max(level) <= bounds.max)

    def build(self, rows: list[Any]) -> Any:
        """The array of rows that suit."""
        return self.numpy.array(rows, dtype=self.dtype)

    @property
    def packs(self) -> bool:
        """Whether requests may come as raw doubles, which hold every number of the tensor's type."""
        return bool(self.dtype.kind == "f" and self.dtype.itemsize <= 8 and self.shape and "inputs" in self.forms)

    def unpack(self, doubles: bytes) -> Any:
        """Raw doubles as an array of items."""
        return self.numpy.frombuffer(doubles, dtype=self.numpy.float64).reshape((-1, *self.shape))

    def document(self, items: Any) -> dict[str, Any]:
        """The request that an array of items stands for."""
        return {"inputs": items.tolist()}

    def join(self, parts: list[Any]) -> Any:
        """Items of several requests, lists or arrays, as one array."""
        return self.numpy.concatenate([self.numpy.asarray(part, dtype=self.numpy.float64) for part in parts])

    def build_block(self, rows: Any) -> Any:
        """The array that the model receives, which is its own to change."""
        return rows.astype(self.dtype, copy=not rows.flags.writeable)
