"""Triton's model configuration (config.pbtxt), from the model's signature. Pure.

Field names are those of model_config.proto.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from headrace.contract.signature import MLFLOW_DATATYPES, NUMPY_DATATYPES, UNNAMED, Signature, optional_columns

LARGEST_BATCH: Final = 256
"""Rows of an ONNX model's batch; Triton refuses a request with more."""
UNTYPED: Final = "predictions"
"""Name of the output of a model without an output signature: JSON texts, one a row."""


def pyfunc_config(mlmodel: Mapping[str, Any]) -> str:
    """A python_function model under the Python backend: a tensor a column, each of as many rows as are asked.

    {cores} and {model} are filled in in the pod. Requests are not merged (max_batch_size 0): whether a model's rows are
    independent is known only after a trial.
    """
    signature = Signature.of(mlmodel.get("signature"))
    inputs: list[tuple[str, str, tuple[int, ...]]] = [
        (name, MLFLOW_DATATYPES.get(kind, "BYTES"), (-1,))
        for name, (_, kind) in zip(signature.names, signature.columns, strict=True)
    ]
    inputs += [(name or UNNAMED, _numpy(dtype), shape) for name, dtype, shape in signature.tensors]
    outputs = signature.outputs or [(UNTYPED, "BYTES", (-1,))]
    lines = ['backend: "python"', "max_batch_size: 0"]
    lines += _blocks("input", inputs, optional=optional_columns(mlmodel.get("signature")))
    lines += _blocks("output", outputs)
    lines += ["instance_group [ { kind: KIND_CPU count: {cores} } ]"]
    lines += ['parameters { key: "model" value { string_value: "{model}" } }']
    return "\n".join(lines) + "\n"


def onnx_config(mlmodel: Mapping[str, Any], *, gpus: int) -> str:
    """An ONNX graph under ONNX Runtime, requests of many callers merged.

    Inputs and outputs are written down where the signature names tensors whose first dimension is free; otherwise
    Triton reads them from the graph itself.
    """
    file = str(mlmodel["flavors"]["onnx"].get("data", "model.onnx")).rsplit("/", 1)[-1]
    lines = ['backend: "onnxruntime"', f'default_model_filename: "{file}"']
    signature = Signature.of(mlmodel.get("signature"))
    named = [(name, _numpy(dtype), shape) for name, dtype, shape in signature.tensors]
    outputs = list(signature.outputs)
    if named and outputs and all(name and shape[:1] == (-1,) for name, _, shape in [*named, *outputs]):
        lines.append(f"max_batch_size: {LARGEST_BATCH}")
        lines += _blocks("input", [(name, datatype, shape[1:]) for name, datatype, shape in named])
        lines += _blocks("output", [(name, datatype, shape[1:]) for name, datatype, shape in outputs])
        # An empty block: what is queued is merged, and nothing waits for more.
        lines.append("dynamic_batching { }")
    kind = "KIND_GPU" if gpus else "KIND_CPU"
    lines.append(f"instance_group [ {{ kind: {kind} count: 1 }} ]")
    return "\n".join(lines) + "\n"


def _numpy(dtype: str) -> str:
    return NUMPY_DATATYPES.get(dtype, "BYTES")


def _blocks(
    field: str, described: Sequence[tuple[str, str, Sequence[int]]], *, optional: Collection[str] = ()
) -> list[str]:
    rendered = []
    for name, datatype, shape in described:
        kind = "TYPE_STRING" if datatype == "BYTES" else f"TYPE_{datatype}"
        dims = ", ".join(map(str, shape))
        left_out = " optional: true" if name in optional else ""
        quoted = name.replace("\\", "\\\\").replace('"', '\\"')
        rendered.append(f'{field} [ {{ name: "{quoted}" data_type: {kind} dims: [ {dims} ]{left_out} }} ]')
    return rendered
