"""Open Inference Protocol v2 over REST, JSON and binary tensors, to and from MLflow's scoring request. Pure.

A request becomes the scoring request that the model's signature calls for, so that both protocols give the model the
same input, and requests of both are merged into the same model calls.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from headrace.runtimes.protocol import tensors
from headrace.runtimes.protocol.tensors import fault

EXTENSIONS: Final = ("binary_tensor_data",)
JSON_LENGTH_HEADER: Final = "inference-header-content-length"


@dataclass(frozen=True, kw_only=True)
class Tensor:
    """One named input or output."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    values: list[Any]
    """Elements in row-major order."""


@dataclass(frozen=True, kw_only=True)
class InferRequest:
    """A read request."""

    identity: str | None
    inputs: tuple[Tensor, ...]
    outputs: Mapping[str, bool] | None
    """Wanted outputs and whether each is to be binary; None wants all."""
    binary: bool
    """Whether outputs are binary when nothing is said of each."""


@dataclass(frozen=True, kw_only=True)
class Signature:
    """What the protocol needs of a model's signature."""

    columns: tuple[tuple[str, str], ...] = ()
    """Names and MLflow types of column inputs."""
    tensors: tuple[tuple[str, str, tuple[int, ...]], ...] = ()
    """Names (empty when unnamed), numpy dtypes and shapes of tensor inputs."""
    outputs: tuple[tuple[str, str, tuple[int, ...]], ...] = ()
    """Names, datatypes and shapes of outputs."""

    @classmethod
    def of(cls, signature: Mapping[str, Any] | None) -> "Signature":
        """Reads `ModelSignature.to_dict()`; nested columns are left out and reach the model by name."""
        columns, inputs = [], []
        for spec in _specs(signature, "inputs"):
            if spec.get("type") == "tensor":
                described = spec["tensor-spec"]
                inputs.append((str(spec.get("name", "")), str(described["dtype"]), tuple(described["shape"])))
            else:
                columns.append((str(spec.get("name", "")), str(spec.get("type"))))
        outputs = []
        for spec in _specs(signature, "outputs"):
            if spec.get("type") == "tensor":
                described = spec["tensor-spec"]
                datatype = tensors.NUMPY_DATATYPES.get(str(described["dtype"]), "BYTES")
                outputs.append((str(spec.get("name", "predictions")), datatype, tuple(described["shape"])))
            elif str(spec.get("type")) in tensors.MLFLOW_DATATYPES:
                datatype = tensors.MLFLOW_DATATYPES[str(spec["type"])]
                outputs.append((str(spec.get("name", "predictions")), datatype, (-1,)))
        return cls(columns=tuple(columns), tensors=tuple(inputs), outputs=tuple(outputs))

    def metadata(self, model: str, version: str) -> dict[str, Any]:
        """The body of GET /v2/models/{model}."""
        inputs = [
            {"name": name, "datatype": tensors.MLFLOW_DATATYPES.get(kind, "BYTES"), "shape": [-1]}
            for name, kind in self.columns
        ]
        inputs += [
            {"name": name or "input", "datatype": tensors.NUMPY_DATATYPES.get(kind, "BYTES"), "shape": list(shape)}
            for name, kind, shape in self.tensors
        ]
        outputs = [{"name": name, "datatype": kind, "shape": list(shape)} for name, kind, shape in self.outputs]
        versions = {"versions": [version]} if version else {}
        return {"name": model, **versions, "platform": "mlflow", "inputs": inputs, "outputs": outputs}


def _specs(signature: Mapping[str, Any] | None, side: str) -> list[dict[str, Any]]:
    text = (signature or {}).get(side)
    read: list[dict[str, Any]] = json.loads(text) if text else []
    return read


def read_request(document: Any, raw: bytes) -> InferRequest:
    """Reads the JSON part and the binary part that follows it. InputError names what is wrong."""
    if not isinstance(document, dict) or not isinstance(document.get("inputs"), list) or not document["inputs"]:
        raise fault("the body must be a JSON object with a list 'inputs' of at least one tensor")
    parameters = document.get("parameters") or {}
    inputs = []
    for described in document["inputs"]:
        tensor, raw = _read_tensor(described, raw)
        inputs.append(tensor)
    if raw:
        raise fault(f"{len(raw)} bytes are left after the last binary tensor")
    if len({tensor.name for tensor in inputs}) != len(inputs):
        raise fault("two inputs have the same name")
    binary = bool(isinstance(parameters, dict) and parameters.get("binary_data_output"))
    outputs = None
    if document.get("outputs"):
        outputs = {str(wanted.get("name")): _wants_binary(wanted, binary) for wanted in document["outputs"]}
    identity = document.get("id")
    return InferRequest(
        identity=None if identity is None else str(identity), inputs=tuple(inputs), outputs=outputs, binary=binary
    )


def _wants_binary(wanted: Mapping[str, Any], otherwise: bool) -> bool:
    parameters = wanted.get("parameters") or {}
    return bool(parameters.get("binary_data", otherwise))


def _read_tensor(described: Any, raw: bytes) -> tuple[Tensor, bytes]:
    if not isinstance(described, dict):
        raise fault("each input must be an object")
    name, datatype, shape = described.get("name"), described.get("datatype"), described.get("shape")
    if not isinstance(name, str) or not name:
        raise fault("each input must have a name")
    if datatype not in tensors.DATATYPES:
        raise fault(f"input '{name}' has datatype {datatype!r}, must be one of {', '.join(sorted(tensors.DATATYPES))}")
    if not isinstance(shape, list) or not shape or not all(type(length) is int and length >= 0 for length in shape):
        raise fault(f"input '{name}' must have a shape of whole numbers of at least 0")
    count = 1
    for length in shape:
        count *= length
    size = (described.get("parameters") or {}).get("binary_data_size")
    if size is not None:
        if type(size) is not int or not 0 <= size <= len(raw):
            raise fault(f"input '{name}' has binary_data_size {size!r}, but {len(raw)} bytes are left")
        values, raw = tensors.from_bytes(datatype, count, raw[:size], name), raw[size:]
    else:
        if datatype == "FP16":
            raise fault(f"input '{name}' has datatype FP16, which has no JSON form; send it as binary data")
        if "data" not in described:
            raise fault(f"input '{name}' has neither data nor binary_data_size")
        values = tensors.flat(described["data"])
        if len(values) != count:
            raise fault(f"input '{name}' has {len(values)} elements, its shape {shape} needs {count}")
    return Tensor(name=name, datatype=datatype, shape=tuple(shape), values=values), raw


def scoring_request(request: InferRequest, signature: Signature) -> dict[str, Any]:
    """The MLflow scoring request with the same meaning."""
    given = {tensor.name: tensor for tensor in request.inputs}
    if signature.tensors:
        if len(signature.tensors) == 1 and not signature.tensors[0][0]:
            if len(given) != 1:
                raise fault(f"the model takes one tensor, {len(given)} inputs were given")
            tensor = request.inputs[0]
            return {"inputs": tensors.nested(tensor.values, tensor.shape)}
        return {"inputs": {name: tensors.nested(tensor.values, tensor.shape) for name, tensor in given.items()}}
    names = [name for name, _ in signature.columns]
    if len(given) == 1 and len(request.inputs[0].shape) == 2:
        tensor = request.inputs[0]
        if tensor.name not in names or tensor.shape[1] != 1:
            return _matrix(tensor, names)
    return _table(request.inputs)


def _matrix(tensor: Tensor, names: Sequence[str]) -> dict[str, Any]:
    """One tensor of rows for a model with columns, or with no signature."""
    if not names:
        return {"inputs": tensors.nested(tensor.values, tensor.shape)}
    if tensor.shape[1] != len(names):
        raise fault(f"input '{tensor.name}' has {tensor.shape[1]} columns, the model has {len(names)}")
    return {"dataframe_split": {"columns": list(names), "data": tensors.nested(tensor.values, tensor.shape)}}


def _table(inputs: Sequence[Tensor]) -> dict[str, Any]:
    """One tensor a column."""
    count = inputs[0].shape[0]
    columns = []
    for tensor in inputs:
        if tensor.shape[0] != count:
            raise fault(f"input '{tensor.name}' has {tensor.shape[0]} rows, '{inputs[0].name}' has {count}")
        flat = len(tensor.shape) == 1 or tensor.shape[1:] == (1,)
        columns.append(tensor.values if flat else tensors.nested(tensor.values, tensor.shape))
    return {
        "dataframe_split": {
            "columns": [tensor.name for tensor in inputs],
            "data": [list(row) for row in zip(*columns, strict=True)],
        }
    }


def outputs_of(predictions: Any, signature: Signature) -> tuple[Tensor, ...]:
    """The outputs for MLflow's `predictions`: records and named tensors by name, all else as `predictions`."""
    known = {name: datatype for name, datatype, _ in signature.outputs}
    lone = signature.outputs[0][1] if len(signature.outputs) == 1 else None
    if isinstance(predictions, list) and predictions and all(isinstance(item, dict) for item in predictions):
        names = list(predictions[0])
        if all(list(item) == names for item in predictions):
            return tuple(_output(name, [item[name] for item in predictions], known.get(name)) for name in names)
    if isinstance(predictions, dict) and predictions:
        return tuple(_output(name, value, known.get(name)) for name, value in predictions.items())
    name = signature.outputs[0][0] if len(signature.outputs) == 1 else "predictions"
    return (_output(name, predictions, lone),)


def _output(name: str, value: Any, datatype: str | None) -> Tensor:
    data = value if isinstance(value, list) else [value]
    shape = tensors.shape_of(data)
    values = tensors.flat(data) if shape is not None else data
    if shape is None or any(isinstance(item, (dict, list)) for item in values):
        texts = [json.dumps(item) for item in data]  # what no tensor can hold travels as JSON text
        return Tensor(name=name, datatype="BYTES", shape=(len(data),), values=texts)
    said = tensors.datatype_of(values)
    fits = datatype is not None and (
        datatype == said or (datatype.startswith(("FP", "INT", "UINT")) and said != "BYTES")
    )
    if fits and datatype is not None and not (said == "FP64" and not datatype.startswith("FP")):
        said = datatype
    if said == "BYTES":
        values = [item if isinstance(item, str) else json.dumps(item) for item in values]
    return Tensor(name=name, datatype=said, shape=shape, values=values)


def render(
    request: InferRequest, outputs: Sequence[Tensor], *, model: str, version: str
) -> tuple[dict[str, Any], list[bytes]]:
    """The JSON part of the answer and the binary tensors that follow it."""
    names = {output.name for output in outputs}
    if request.outputs is not None and (unknown := sorted(set(request.outputs) - names)):
        raise fault(f"outputs = {unknown}, the model has {sorted(names)}")
    described: list[dict[str, Any]] = []
    binary: list[bytes] = []
    for output in outputs:
        if request.outputs is not None and output.name not in request.outputs:
            continue
        one: dict[str, Any] = {"name": output.name, "shape": list(output.shape), "datatype": output.datatype}
        wants_binary = request.binary if request.outputs is None else request.outputs[output.name]
        if wants_binary:
            binary.append(tensors.to_bytes(output.datatype, output.values))
            one["parameters"] = {"binary_data_size": len(binary[-1])}
        else:
            one["data"] = output.values
        described.append(one)
    document: dict[str, Any] = {"model_name": model}
    if version:
        document["model_version"] = version
    if request.identity is not None:
        document["id"] = request.identity
    document["outputs"] = described
    return document, binary
