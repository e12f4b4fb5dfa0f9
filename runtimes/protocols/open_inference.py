"""Open Inference Protocol v2 over REST, JSON and binary tensors, and the model's signature in its terms. Pure.

What a request means to MLflow: `tables`.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from headrace.contract.signature import Signature
from headrace.runtimes.protocols import tensors
from headrace.runtimes.protocols.tensors import fault

EXTENSIONS: Final = ("binary_tensor_data",)
JSON_LENGTH_HEADER: Final = "inference-header-content-length"
_PLAIN: Final = {frozenset((int,)): "INT64", frozenset((float,)): "FP64", frozenset((bool,)): "BOOL"}
"""Datatype of a list of values of one type."""
MOST_DIMENSIONS: Final = 32
"""Of a tensor: what numpy 1 takes, and less than the nesting that a JSON body may have."""


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
    packed: bytes | None = None
    """The inputs as a worker takes them; `inputs` is empty then."""


def read_request(document: Any, raw: bytes) -> InferRequest:
    """Reads the JSON part and the binary part that follows it.

    InputError names what is wrong, by the place of an input or output and never by its content.
    """
    if not isinstance(document, dict) or not isinstance(document.get("inputs"), list) or not document["inputs"]:
        raise fault("the body must be a JSON object with a list 'inputs' of at least one tensor")
    inputs = []
    for at, described in enumerate(document["inputs"]):
        tensor, raw = _read_tensor(described, raw, f"inputs[{at}]")
        inputs.append(tensor)
    if raw:
        raise fault(f"{len(raw)} bytes are left after the last binary tensor")
    distinct(inputs)
    return around(document, inputs=tuple(inputs))


def around(
    document: Mapping[str, Any], *, inputs: tuple[Tensor, ...] = (), packed: bytes | None = None
) -> InferRequest:
    """A request whose inputs have been read, with all else that its JSON part says."""
    binary = bool(_parameters(document, "the request").get("binary_data_output"))
    identity = document.get("id")
    if identity is not None and not isinstance(identity, (str, int)):
        raise fault("'id' must be a text")
    return InferRequest(
        identity=None if identity is None else str(identity),
        inputs=inputs,
        outputs=_read_outputs(document.get("outputs"), binary),
        binary=binary,
        packed=packed,
    )


def _parameters(described: Mapping[str, Any], place: str) -> Mapping[str, Any]:
    parameters = described.get("parameters")
    if parameters is None:
        return {}
    if not isinstance(parameters, dict):
        raise fault(f"'parameters' of {place} must be an object")
    return parameters


def _read_outputs(wanted: Any, binary: bool) -> Mapping[str, bool] | None:
    if wanted is None or wanted == []:
        return None
    if not isinstance(wanted, list):
        raise fault("'outputs' must be a list of objects")
    read = {}
    for at, described in enumerate(wanted):
        if not isinstance(described, dict) or not isinstance(described.get("name"), str):
            raise fault(f"outputs[{at}] must be an object with a name")
        read[described["name"]] = bool(_parameters(described, f"outputs[{at}]").get("binary_data", binary))
    return read


def _read_tensor(described: Any, raw: bytes, place: str) -> tuple[Tensor, bytes]:
    if not isinstance(described, dict):
        raise fault(f"{place} must be an object")
    name = described.get("name")
    if not isinstance(name, str) or not name:
        raise fault(f"{place} must have a name")
    datatype = checked_datatype(described.get("datatype"), place)
    shape, count = checked_shape(described.get("shape"), place)
    size = _parameters(described, place).get("binary_data_size")
    if size is not None:
        if type(size) is not int or not 0 <= size <= len(raw):
            raise fault(f"binary_data_size of {place} must be a whole number of at most the {len(raw)} bytes left")
        values, raw = tensors.from_bytes(datatype, count, raw[:size], place), raw[size:]
    else:
        if datatype == "FP16":
            raise fault(f"{place} has datatype FP16, which has no JSON form; send it as binary data")
        if "data" not in described:
            raise fault(f"{place} has neither data nor binary_data_size")
        values = tensors.flat(described["data"])
        if len(values) != count:
            raise fault(f"{place} has {len(values)} elements, its shape needs {count}")
        tensors.require_fit(datatype, values, place)
        if datatype in ("FP32", "FP64") and int in set(map(type, values)):
            values = [float(value) if type(value) is int else value for value in values]  # 1 is 1.0 by its datatype
    return Tensor(name=name, datatype=datatype, shape=shape, values=values), raw


def checked_datatype(datatype: Any, place: str) -> str:
    """The datatype, when it is one that is served."""
    if not isinstance(datatype, str) or datatype not in tensors.DATATYPES:
        raise fault(f"datatype of {place} must be one of {', '.join(sorted(tensors.DATATYPES))}")
    return datatype


def checked_shape(shape: Any, place: str) -> tuple[tuple[int, ...], int]:
    """The shape, and how many elements it has."""
    lengths = shape if isinstance(shape, list) else []
    if not lengths or not all(type(length) is int and length >= 0 for length in lengths):
        raise fault(f"shape of {place} must be a list of whole numbers of at least 0")
    if len(lengths) > MOST_DIMENSIONS:
        raise fault(f"shape of {place} has {len(lengths)} dimensions, must have at most {MOST_DIMENSIONS}")
    return tuple(lengths), math.prod(lengths)


def distinct(inputs: Sequence[Tensor]) -> None:
    """Refuses inputs of one name."""
    if len({tensor.name for tensor in inputs}) != len(inputs):
        raise fault("two inputs have the same name")


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
    said = _PLAIN.get(frozenset(map(type, data)))
    if said is not None and (said == datatype or datatype is None) and tensors.holds(said, data):
        return Tensor(name=name, datatype=said, shape=(len(data),), values=data)  # what most models answer
    shape = tensors.shape_of(data)
    if shape is not None and len(shape) > MOST_DIMENSIONS:
        shape = None
    values = tensors.flat(data) if shape is not None else data
    if shape is None or any(isinstance(item, (dict, list)) for item in values):
        texts = [json.dumps(item) for item in data]  # what no tensor can hold travels as JSON text
        return Tensor(name=name, datatype="BYTES", shape=(len(data),), values=texts)
    said = tensors.datatype_of(values)
    if datatype is not None and said != "BYTES" and tensors.holds(datatype, values):
        said = datatype
    if said == "BYTES":
        values = [item if isinstance(item, str) else json.dumps(item) for item in values]
    return Tensor(name=name, datatype=said, shape=shape, values=values)


def chosen(request: InferRequest, outputs: Sequence[Tensor]) -> list[Tensor]:
    """The outputs that the request asks for."""
    if request.outputs is None:
        return list(outputs)
    names = {output.name for output in outputs}
    if not names.issuperset(request.outputs):
        raise fault(f"an output is asked for that the model does not have; it has {sorted(names)}")
    return [output for output in outputs if output.name in request.outputs]


def render(
    request: InferRequest, outputs: Sequence[Tensor], *, model: str, version: str
) -> tuple[dict[str, Any], list[bytes]]:
    """The JSON part of the answer with the chosen outputs, and the binary tensors that follow it."""
    described: list[dict[str, Any]] = []
    binary: list[bytes] = []
    for output in outputs:
        one: dict[str, Any] = {"name": output.name, "shape": list(output.shape), "datatype": output.datatype}
        wants_binary = request.binary if request.outputs is None else request.outputs[output.name]
        if wants_binary:
            binary.append(tensors.to_bytes(output.datatype, output.values))
            one["parameters"] = {"binary_data_size": len(binary[-1])}
        else:
            if output.datatype == "FP16":
                one["datatype"] = "FP32"  # FP16 has no JSON form
            one["data"] = output.values
        described.append(one)
    document: dict[str, Any] = {"model_name": model}
    if version:
        document["model_version"] = version
    if request.identity is not None:
        document["id"] = request.identity
    document["outputs"] = described
    return document, binary


def written(request: InferRequest, *, binary: bool) -> tuple[dict[str, Any], bytes]:
    """The request as REST has it, for a server that takes raw tensors (`binary`) or JSON alone; it answers alike."""
    described: list[dict[str, Any]] = []
    raw: list[bytes] = []
    for at, tensor in enumerate(request.inputs):
        one: dict[str, Any] = {"name": tensor.name, "datatype": tensor.datatype, "shape": list(tensor.shape)}
        if binary:
            raw.append(tensors.to_bytes(tensor.datatype, tensor.values))
            one["parameters"] = {"binary_data_size": len(raw[-1])}
        elif tensor.datatype == "FP16":
            raise fault(f"inputs[{at}] has datatype FP16, which has no JSON form, and this engine takes no other")
        else:
            one["data"] = tensor.values
        described.append(one)
    document: dict[str, Any] = {"inputs": described}
    if binary:
        document["parameters"] = {"binary_data_output": True}
    return document, b"".join(raw)


def read_outputs(described: Sequence[Mapping[str, Any]], raw: bytes) -> tuple[Tensor, ...]:
    """The outputs in an answer of a server."""
    outputs = []
    for at, one in enumerate(described):
        datatype, shape = str(one["datatype"]), tuple(int(length) for length in one["shape"])
        size = (one.get("parameters") or {}).get("binary_data_size")
        if size is None:
            values = tensors.flat(one["data"])
        else:
            values, raw = tensors.from_bytes(datatype, math.prod(shape), raw[:size], f"outputs[{at}]"), raw[size:]
        outputs.append(Tensor(name=str(one["name"]), datatype=datatype, shape=shape, values=values))
    return tuple(outputs)
