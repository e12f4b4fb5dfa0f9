"""What the tensors of an inference request mean to MLflow: the scoring request that the signature calls for. Pure.

Both protocols give the model the same input, and requests of both are merged into the same model calls.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from headrace.contract.signature import Signature, dimensions
from headrace.runtimes.protocols import tensors
from headrace.runtimes.protocols.open_inference import InferRequest, Tensor
from headrace.runtimes.protocols.tensors import fault


def scoring_request(request: InferRequest, signature: Signature) -> dict[str, Any]:
    """The MLflow scoring request with the same meaning."""
    inputs = request.inputs
    if signature.tensors:
        if len(signature.tensors) == 1 and not signature.tensors[0][0]:
            if len(inputs) != 1:
                raise fault(f"the model takes one tensor, {len(inputs)} inputs were given")
            return {"inputs": tensors.nested(inputs[0].values, inputs[0].shape)}
        return {"inputs": {tensor.name: tensors.nested(tensor.values, tensor.shape) for tensor in inputs}}
    if signature.columns and not any(name for name, _ in signature.columns):
        return _unnamed(inputs, signature)
    kinds = dict(signature.columns)
    if len(inputs) == 1 and len(inputs[0].shape) == 2:
        kind = kinds.get(inputs[0].name)
        if kind is None or (inputs[0].shape[1] != 1 and dimensions(kind) == 1):
            return _matrix(inputs[0], list(kinds))
    return {"dataframe_split": {"columns": [tensor.name for tensor in inputs], "data": _rows(inputs, kinds)}}


def _matrix(tensor: Tensor, names: Sequence[str]) -> dict[str, Any]:
    """One tensor of rows for a model with columns, or with no signature."""
    rows = tensors.nested(tensor.values, tensor.shape)
    if not names:
        return {"inputs": rows}
    _check_width(tensor, len(names))
    return {"dataframe_split": {"columns": list(names), "data": rows}}


def _check_width(tensor: Tensor, width: int) -> None:
    if tensor.shape[1] != width:
        raise fault(f"inputs[0] has {tensor.shape[1]} columns, the model has {width}")


def _unnamed(inputs: Sequence[Tensor], signature: Signature) -> dict[str, Any]:
    """Columns without names: a tensor each, in the signature's order or under the names that the metadata gives them,
    or one tensor of rows."""
    names, kinds = signature.names, [kind for _, kind in signature.columns]
    if len(inputs) == 1 and len(kinds) > 1 and len(inputs[0].shape) == 2:
        _check_width(inputs[0], len(kinds))
        return {"dataframe_split": {"data": tensors.nested(inputs[0].values, inputs[0].shape)}}
    if len(inputs) != len(kinds):
        raise fault(f"the model takes {len(kinds)} inputs, {len(inputs)} were given")
    if all(tensor.name in names for tensor in inputs):
        inputs = sorted(inputs, key=lambda tensor: names.index(tensor.name))
    rows = _rows(inputs, {tensor.name: kind for tensor, kind in zip(inputs, kinds, strict=True)})
    return {"inputs": [row[0] for row in rows]} if signature.hinted else {"dataframe_split": {"data": rows}}


def _rows(inputs: Sequence[Tensor], kinds: Mapping[str, str]) -> list[list[Any]]:
    """One tensor a column, as rows."""
    count = inputs[0].shape[0]
    columns = []
    for at, tensor in enumerate(inputs):
        if tensor.shape[0] != count:
            raise fault(f"inputs[{at}] has {tensor.shape[0]} rows, inputs[0] has {count}")
        columns.append(_cells(tensor, kinds.get(tensor.name, ""), f"inputs[{at}]"))
    return [list(row) for row in zip(*columns, strict=True)]


def _cells(tensor: Tensor, kind: str, place: str) -> list[Any]:
    """The column's values; an array is one more dimension, or a JSON text as all else that no tensor can hold."""
    shape, values = tensor.shape, tensor.values
    wanted = dimensions(kind)
    nested = kind.endswith("[]") or kind in ("object", "map")
    if nested and (wanted == 1 or (tensor.datatype == "BYTES" and len(shape) == 1)):
        return [_read(value, place) for value in values]
    if wanted > 1 and len(shape) != wanted:
        raise fault(f"{place} has {len(shape)} dimensions, must have {wanted}: rows, and those of the column's arrays")
    flat = len(shape) == 1 or (wanted == 1 and shape[1:] == (1,))
    return values if flat else list(tensors.nested(values, shape))


def _read(text: Any, place: str) -> Any:
    try:
        return orjson.loads(text)
    except (orjson.JSONDecodeError, TypeError):
        raise fault(f"{place} must hold JSON texts, which its column is made of") from None
