"""Open Inference Protocol v2 over gRPC: its messages to and from the same requests and tensors as over REST. Pure.

Messages are protobuf's, known here by the names of their fields alone. An element is either in its input's typed
`contents`, or all inputs are in `raw_input_contents`, in the bytes of the binary tensor extension.
"""

import math
from collections.abc import Sequence
from typing import Any, Final

from headrace.runtimes.protocols import messages, tensors
from headrace.runtimes.protocols.open_inference import InferRequest, Tensor, checked_datatype, checked_shape, distinct
from headrace.runtimes.protocols.tensors import fault

CONTENTS: Final = {
    "BOOL": "bool_contents",
    "INT8": "int_contents",
    "INT16": "int_contents",
    "INT32": "int_contents",
    "INT64": "int64_contents",
    "UINT8": "uint_contents",
    "UINT16": "uint_contents",
    "UINT32": "uint_contents",
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
}
"""Field of typed contents for each datatype; FP16 has none and travels raw only."""


def parsed(data: bytes) -> Any:
    """The ModelInferRequest that the bytes are. InputError where they are none."""
    message = messages.parsed("ModelInferRequest", data)
    if message is None:
        raise fault("The request is not a valid ModelInferRequest message.")
    return message


def read_message(message: Any) -> InferRequest:
    """Reads a ModelInferRequest. InputError names what is wrong, by the place of an input and never by its content."""
    if not message.inputs:
        raise fault("the request must have at least one input")
    raw = message.raw_input_contents
    if raw and len(raw) != len(message.inputs):
        raise fault(
            f"raw_input_contents has {len(raw)} entries, must have one for each of {len(message.inputs)} inputs"
        )
    inputs = tuple(_read_tensor(at, described, raw) for at, described in enumerate(message.inputs))
    distinct(inputs)
    return around(message, inputs=inputs)


def around(message: Any, *, inputs: tuple[Tensor, ...] = (), packed: bytes | None = None) -> InferRequest:
    """A request whose inputs have been read, with all else that its message says."""
    raw = bool(message.raw_input_contents)
    outputs = {str(wanted.name): raw for wanted in message.outputs} or None
    return InferRequest(identity=message.id or None, inputs=inputs, outputs=outputs, binary=raw, packed=packed)


def _read_tensor(at: int, described: Any, raw: Sequence[bytes]) -> Tensor:
    place = f"inputs[{at}]"
    if not described.name:
        raise fault(f"{place} must have a name")
    datatype = checked_datatype(described.datatype, place)
    shape, count = checked_shape(list(described.shape), place)
    given = [field.name for field, _ in described.contents.ListFields()]
    if raw:
        if given:
            raise fault(f"{place} has typed contents beside raw_input_contents; send one of them")
        values = tensors.from_bytes(datatype, count, raw[at], place)
    elif datatype not in CONTENTS:
        raise fault(f"{place} has datatype {datatype}, which has no typed contents; send it in raw_input_contents")
    elif given and given != [CONTENTS[datatype]]:
        raise fault(f"{place} has datatype {datatype}, whose elements belong in {CONTENTS[datatype]} and nowhere else")
    else:
        values = list(getattr(described.contents, CONTENTS[datatype]))
        if len(values) != count:
            raise fault(f"{place} has {len(values)} elements, its shape needs {count}")
        tensors.require_fit(datatype, values, place)  # int_contents carries INT8 too
        if datatype == "BYTES":
            values = tensors.texts(values, place)
    return Tensor(name=described.name, datatype=datatype, shape=shape, values=values)


def written(request: InferRequest, *, model: str) -> Any:
    """A ModelInferRequest with the inputs of a request as typed contents."""
    message = messages.made("ModelInferRequest", model_name=model)
    for tensor in request.inputs:
        described = message.inputs.add(name=tensor.name, datatype=tensor.datatype, shape=tensor.shape)
        getattr(described.contents, CONTENTS[tensor.datatype]).extend(_typed(tensor))
    return message


def read_outputs(message: Any) -> tuple[Tensor, ...]:
    """The outputs of a ModelInferResponse."""
    outputs = []
    for at, described in enumerate(message.outputs):
        datatype, shape = str(described.datatype), tuple(described.shape)
        if message.raw_output_contents:
            raw = message.raw_output_contents[at]
            values = tensors.from_bytes(datatype, math.prod(shape), raw, f"outputs[{at}]")
        else:
            values = list(getattr(described.contents, CONTENTS[datatype]))
            if datatype == "BYTES":
                values = tensors.texts(values, f"outputs[{at}]")
        outputs.append(Tensor(name=str(described.name), datatype=datatype, shape=shape, values=values))
    return tuple(outputs)


def fill(message: Any, outputs: Sequence[Tensor], *, raw: bool) -> None:
    """Adds the outputs to a ModelInferResponse: raw when asked so, or when one of them has no other form."""
    raw = raw or any(output.datatype not in CONTENTS for output in outputs)
    for output in outputs:
        described = message.outputs.add(name=output.name, datatype=output.datatype, shape=output.shape)
        if raw:
            message.raw_output_contents.append(tensors.to_bytes(output.datatype, output.values))
        else:
            getattr(described.contents, CONTENTS[output.datatype]).extend(_typed(output))


def _typed(output: Tensor) -> list[Any]:
    """Elements as protobuf takes them; null becomes NaN, as in raw contents."""
    if output.datatype == "BYTES":
        return tensors.encoded(output.values)
    if output.datatype == "BOOL":
        return [bool(value) for value in output.values]
    if output.datatype.startswith("FP"):
        return [math.nan if value is None else value for value in output.values]
    return output.values
