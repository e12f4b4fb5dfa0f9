"""Payloads: the bytes of a request and of its answer, as the texts that a row holds. Pure.

JSON and other texts stay what they were, byte for byte. Tensors in bytes (gRPC, binary data over REST) become the JSON
that REST has for them, and an answer in pieces becomes one document. What is neither, and no UTF-8, becomes a data URL
(RFC 2397), from which the bytes can be had again.
"""

import base64
import json
from typing import Any, Final

import orjson

from headrace.contract import names
from headrace.contract.errors import HeadraceError
from headrace.runtimes.protocols import open_inference, result_json
from headrace.runtimes.protocols.open_inference import Tensor
from headrace.runtimes.records.frame import Meta
from headrace.runtimes.records.streams import whole

_DATA_URL: Final = "data:application/octet-stream;base64,"
_GRPC: Final = f"/{names.GRPC_SERVICE}/"


def texts(meta: Meta, request: bytes | None, response: bytes | None) -> tuple[str | None, str | None]:
    """Request and response as texts."""
    if meta.path.startswith(_GRPC):
        return _of_message(request, "ModelInferRequest"), _of_message(response, "ModelInferResponse")
    return _request(meta, request), _response(response)


def _request(meta: Meta, data: bytes | None) -> str | None:
    if data is not None and meta.json_length is not None:
        try:
            read = open_inference.read_request(orjson.loads(data[: meta.json_length]), data[meta.json_length :])
            document, _ = open_inference.written(read, binary=False)
            return result_json.written(document).decode()
        except (ValueError, TypeError, HeadraceError):  # a request that was refused, or FP16, which JSON has not
            pass
    return plain(data)


def _response(data: bytes | None) -> str | None:
    if data is None:
        return None
    if data.startswith((b"data:", b"event:", b":")):
        return whole(data)
    if data.startswith(b"{") and b"binary_data_size" in data:
        found = _with_binary_outputs(data)
        if found is not None:
            return found
    return plain(data)


def _with_binary_outputs(data: bytes) -> str | None:
    """An answer of which JSON says how many bytes follow it, in JSON alone."""
    try:
        _, end = json.JSONDecoder().raw_decode(data.decode("latin-1"))  # where it ends: a character a byte
        document = orjson.loads(data[:end])
        document["outputs"] = _described(open_inference.read_outputs(document["outputs"], data[end:]))
    except (ValueError, TypeError, KeyError, RecursionError, HeadraceError):
        return None
    return result_json.written(document).decode()


def _of_message(data: bytes | None, kind: str) -> str | None:
    """A gRPC call's message, in its prefix, as REST's JSON; what is none, as any other bytes."""
    # protobuf is a fifth of the sidecar's memory, which an endpoint without gRPC does not need
    from headrace.runtimes.protocols import grpc, inference_messages, messages  # noqa: PLC0415

    if not data:
        return None if data is None else ""
    if not data.startswith(b"\0"):  # compressed, or no message
        return plain(data)
    message = messages.parsed(kind, data[grpc.PREFIX.size :])
    if message is None:
        return plain(data)
    try:
        document: dict[str, Any] = {}
        if kind == "ModelInferRequest":
            if message.id:
                document["id"] = message.id
            document["inputs"] = _described(inference_messages.read_message(message).inputs)
            if message.outputs:
                document["outputs"] = [{"name": output.name} for output in message.outputs]
        else:
            document = {"model_name": message.model_name, "model_version": message.model_version}
            if message.id:
                document["id"] = message.id
            document["outputs"] = _described(inference_messages.read_outputs(message))
        return result_json.written(document).decode()
    except (ValueError, TypeError, IndexError, KeyError, HeadraceError):
        return plain(data)


def _described(tensors: tuple[Tensor, ...]) -> list[dict[str, Any]]:
    return [
        {"name": one.name, "datatype": one.datatype, "shape": list(one.shape), "data": one.values} for one in tensors
    ]


def plain(data: bytes | None) -> str | None:
    """Bytes as a text: themselves, or a data URL."""
    if data is None:
        return None
    try:
        return data.decode()
    except UnicodeDecodeError:
        return _DATA_URL + base64.b64encode(data).decode()
