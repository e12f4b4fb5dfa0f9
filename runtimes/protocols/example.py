"""A model's input example in the terms of the Open Inference Protocol, and what answers have in common. Pure.

`tables` reads what this writes: the same scoring request comes out of it.
"""

import json
import math
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any, Final, NoReturn

from headrace.contract.signature import MLFLOW_DATATYPES, NUMPY_DATATYPES, UNNAMED, Signature, dimensions
from headrace.runtimes.protocols import tensors
from headrace.runtimes.protocols.open_inference import Tensor

_FORMS: Final = ("dataframe_split", "dataframe_records", "inputs", "instances")
_SINGLE: Final = 1e-6
"""Two numbers of 32 bits that differ by no more than this are the same, written once in binary and once in decimals."""


class NoTensorsError(Exception):
    """An example that the protocol does not carry; the message says why, as the end of a sentence."""


def inputs_of(document: Any, signature: Signature) -> tuple[Tensor, ...]:
    """The inputs of an inference request with the same meaning as a scoring request. Raises NoTensorsError."""
    forms = [form for form in _FORMS if form in document] if type(document) is dict else []
    if len(forms) != 1:
        _no("the example is neither a table nor a tensor")
    (form,) = forms
    if document.get("params"):
        _no("the example has params, which the protocol does not carry")
    if len(document) > 1 and set(document) - {form, "params"}:
        _no("the example says more than its rows")
    given = document[form]
    if signature.tensors:
        return _tensors(given, signature)
    if signature.hinted:
        if type(given) is not list or len(signature.columns) != 1:
            _no("the example is no list of items")
        return (_column(signature.names[0], given, signature.columns[0][1]),)
    table = _table(form, given)
    if signature.columns:
        return _columns(table, signature)
    if table is None or not all(type(name) is str and name for name in table):
        return (_matrix(given),)
    return tuple(_column(name, values, "") for name, values in table.items())


def differences(expected: Sequence[Tensor], found: Sequence[Tensor]) -> list[str]:
    """What is otherwise, by the name of an output and never by its content."""
    names, others = [output.name for output in expected], [output.name for output in found]
    if names != others:
        return [f"outputs {', '.join(others) or 'of no name'} where the prediction has {', '.join(names)}"]
    told = []
    for ours, theirs in zip(expected, found, strict=True):
        if ours.shape != theirs.shape:
            told.append(f"output {ours.name} has the shape {list(theirs.shape)} and not {list(ours.shape)}")
        elif _precision(ours) != _precision(theirs):
            told.append(f"output {ours.name} is {theirs.datatype} and not {ours.datatype}")
        elif not all(map(_alike, ours.values, theirs.values)):
            told.append(f"output {ours.name} has other values")
    return told


def _precision(output: Tensor) -> str:
    return "FP32" if output.datatype == "FP16" else output.datatype  # which JSON does not have


def _alike(ours: Any, theirs: Any) -> bool:
    """Whether two elements are the same; null and NaN are."""
    ours, theirs = (math.nan if value is None else value for value in (ours, theirs))
    if type(ours) is float and type(theirs) is float:
        if math.isnan(ours) or math.isnan(theirs):
            return math.isnan(ours) and math.isnan(theirs)
        return math.isclose(ours, theirs, rel_tol=_SINGLE, abs_tol=1e-38)
    return bool(ours == theirs)


def _no(reason: str) -> NoReturn:
    raise NoTensorsError(reason)


def _tensors(given: Any, signature: Signature) -> tuple[Tensor, ...]:
    named = [name for name, _, _ in signature.tensors if name]
    if not named:
        ((_, kind, _),) = signature.tensors
        return (_tensor(UNNAMED, given, _datatype(kind)),)
    if type(given) is not dict or not set(named) <= set(given):
        _no("the example does not name the model's tensors")
    return tuple(_tensor(name, given[name], _datatype(kind)) for name, kind, _ in signature.tensors)


def _datatype(kind: str) -> str:
    datatype = NUMPY_DATATYPES.get(kind, "BYTES")
    return "FP32" if datatype == "FP16" else datatype  # FP16 has no JSON form, and FP32 holds all of it


def _matrix(given: Any) -> Tensor:
    """Rows of a model without a signature."""
    shape = tensors.shape_of(given) if type(given) is list else None
    if shape is None or len(shape) != 2:
        _no("the model has no signature, and the example is no table with names")
    return _tensor(UNNAMED, given, tensors.datatype_of(tensors.flat(given)))


def _table(form: str, given: Any) -> dict[Any, list[Any]] | None:
    """Columns by name, or by place where the form names none; None where it is no table."""
    rows: Any = given
    names: list[Any] | None = None
    if form == "dataframe_split":
        if type(given) is not dict or type(given.get("data")) is not list:
            return None
        rows, names = given["data"], given.get("columns")
    if type(rows) is dict:
        lists = all(type(values) is list for values in rows.values())
        return dict(rows) if rows and lists and len(set(map(len, rows.values()))) == 1 else None
    if type(rows) is not list or not rows:
        return None
    if all(type(row) is dict for row in rows):
        if any(list(row) != list(rows[0]) for row in rows):
            return None
        return {name: [row[name] for row in rows] for name in rows[0]}
    if not all(type(row) is list and len(row) == len(rows[0]) for row in rows):
        return None
    places: list[Any] = list(range(len(rows[0]))) if names is None else names
    if len(places) != len(rows[0]) or len(set(places)) != len(places):
        return None
    return {name: [row[at] for row in rows] for at, name in enumerate(places)}


def _columns(table: Mapping[Any, list[Any]] | None, signature: Signature) -> tuple[Tensor, ...]:
    if table is None:
        _no("the example is no table")
    kinds = [kind for _, kind in signature.columns]
    if not any(name for name, _ in signature.columns):
        if len(table) != len(kinds):
            _no("the example has another number of columns than the signature")
        placed = zip(signature.names, table.values(), kinds, strict=True)
        return tuple(_column(name, values, kind) for name, values, kind in placed)
    known = [(name, kind) for name, kind in signature.columns if name in table]
    if not known:
        _no("the example has none of the signature's columns")
    return tuple(_column(name, table[name], kind) for name, kind in known)


def _column(name: str, values: list[Any], kind: str) -> Tensor:
    """A column of a table; what no tensor holds travels as JSON texts."""
    nested = kind.endswith("[]") or kind in ("object", "map")
    if not nested and any(type(value) in (dict, list) for value in values):
        _no(f"column {name} holds lists or objects, of which its signature does not tell")
    if nested:
        if any(value is None for value in values):
            _no(f"column {name} has nulls, which no tensor holds")
        if dimensions(kind) == 1 or tensors.shape_of(values) is None:
            return Tensor(name=name, datatype="BYTES", shape=(len(values),), values=[*map(json.dumps, values)])
    datatype = MLFLOW_DATATYPES.get(kind.replace("[]", "")) if kind else tensors.datatype_of(values)
    return _tensor(name, values, datatype if datatype is not None else "BYTES")


def _tensor(name: str, data: Any, datatype: str) -> Tensor:
    shape = tensors.shape_of(data) if type(data) is list else None
    if not shape or 0 in shape:
        _no(f"input {name} is no tensor with elements")
    values = _typed(name, data, datatype, len(shape))
    return Tensor(name=name, datatype=datatype, shape=shape, values=values)


def _typed(name: str, data: Any, datatype: str, depth: int) -> list[Any]:
    """Elements as their datatype has them."""
    values = data
    for _ in range(depth - 1):
        values = list(chain.from_iterable(values))
    if datatype.startswith("FP") and all(value is None or type(value) in (int, float) for value in values):
        return [value if value is None else float(value) for value in values]
    if None in values:
        _no(f"input {name} has nulls, which no tensor of {datatype} holds")
    if datatype == "BYTES" and all(type(value) is str for value in values):
        return list(values)
    whole = [int(value) if type(value) is float and value.is_integer() else value for value in values]
    if datatype != "BYTES" and not datatype.startswith("FP") and tensors.holds(datatype, whole):
        return whole
    _no(f"input {name} holds what no tensor of {datatype} does")
