"""The Open Inference Protocol's gRPC messages, as protobuf classes made at start from the table below.

The table is the part of the public specification (package `inference`) that is served; protobuf skips fields that are
not in it. Names of nested messages are flat: names are not on the wire.

Why no generated module: what protoc generates refuses to load with an older protobuf than its own, and the front, the
tests and the benchmarks run in environments with different ones. A generated module also registers its messages under
their public names, of which a process can hold one copy, while Triton's client brings its own; these classes are in a
pool of their own.
"""

# mypy: disable-error-code="import-untyped"
# protobuf carries no types.

from typing import Any, Final

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError

PACKAGE: Final = "inference"

MESSAGES: Final[dict[str, tuple[str, ...]]] = {
    "ServerLiveRequest": (),
    "ServerLiveResponse": ("bool live = 1",),
    "ServerReadyRequest": (),
    "ServerReadyResponse": ("bool ready = 1",),
    "ModelReadyRequest": ("string name = 1", "string version = 2"),
    "ModelReadyResponse": ("bool ready = 1",),
    "ServerMetadataRequest": (),
    "ServerMetadataResponse": ("string name = 1", "string version = 2", "repeated string extensions = 3"),
    "ModelMetadataRequest": ("string name = 1", "string version = 2"),
    "TensorMetadata": ("string name = 1", "string datatype = 2", "repeated int64 shape = 3"),
    "ModelMetadataResponse": (
        "string name = 1",
        "repeated string versions = 2",
        "string platform = 3",
        "repeated TensorMetadata inputs = 4",
        "repeated TensorMetadata outputs = 5",
    ),
    "InferTensorContents": (
        "repeated bool bool_contents = 1",
        "repeated int32 int_contents = 2",
        "repeated int64 int64_contents = 3",
        "repeated uint32 uint_contents = 4",
        "repeated uint64 uint64_contents = 5",
        "repeated float fp32_contents = 6",
        "repeated double fp64_contents = 7",
        "repeated bytes bytes_contents = 8",
    ),
    "InferInputTensor": (
        "string name = 1",
        "string datatype = 2",
        "repeated int64 shape = 3",
        "InferTensorContents contents = 5",
    ),
    "InferRequestedOutputTensor": ("string name = 1",),
    "ModelInferRequest": (
        "string model_name = 1",
        "string model_version = 2",
        "string id = 3",
        "repeated InferInputTensor inputs = 5",
        "repeated InferRequestedOutputTensor outputs = 6",
        "repeated bytes raw_input_contents = 7",
    ),
    "InferOutputTensor": (
        "string name = 1",
        "string datatype = 2",
        "repeated int64 shape = 3",
        "InferTensorContents contents = 5",
    ),
    "ModelInferResponse": (
        "string model_name = 1",
        "string model_version = 2",
        "string id = 3",
        "repeated InferOutputTensor outputs = 5",
        "repeated bytes raw_output_contents = 6",
    ),
}
"""Fields by message, as a .proto file words them."""


def _made() -> dict[str, Any]:
    kinds = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="open_inference.proto", package=PACKAGE, syntax="proto3")
    for name, fields in MESSAGES.items():
        message = file.message_type.add(name=name)
        for text in fields:
            declared, _, number = text.partition(" = ")
            *repeated, kind, field_name = declared.split()
            field = message.field.add(name=field_name, number=int(number))
            field.label = kinds.LABEL_REPEATED if repeated else kinds.LABEL_OPTIONAL
            if kind in MESSAGES:
                field.type, field.type_name = kinds.TYPE_MESSAGE, f".{PACKAGE}.{kind}"
            else:
                field.type = kinds.Type.Value(f"TYPE_{kind.upper()}")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{PACKAGE}.{name}")) for name in MESSAGES}


CLASSES: Final = _made()
"""The class of each message."""


def parsed(kind: str, data: bytes) -> Any:
    """The message that the bytes are; None where they are none."""
    try:
        return CLASSES[kind].FromString(data)
    except DecodeError:
        return None


def made(kind: str, /, **fields: Any) -> Any:
    """A message with these fields."""
    return CLASSES[kind](**fields)
