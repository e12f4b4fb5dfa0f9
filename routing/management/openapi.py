"""An endpoint's OpenAPI document, from what its pods say of the model's signature. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from headrace.contract import names

VERSION: Final = "3.1.0"
_TYPES: Final = {"BOOL": "boolean", "BYTES": "string"}
"""JSON types of the Open Inference Protocol's datatypes that are no numbers."""
_ANYTHING: Final[dict[str, Any]] = {}


def document(endpoint: str, metadata: Mapping[str, Any] | None) -> dict[str, Any]:
    """`metadata` is the Open Inference Protocol's of the model; None for a model that does not speak it."""
    inputs = () if metadata is None else metadata.get("inputs", ())
    outputs = () if metadata is None else metadata.get("outputs", ())
    answer = {"type": "object", "properties": {"predictions": _predictions(outputs)}}
    error = {"type": "object", "properties": {"error_code": {"type": "string"}, "message": {"type": "string"}}}
    scoring = {
        "summary": "Scores rows.",
        "security": [{"token": []}],
        "requestBody": {"required": True, "content": _json(_request(inputs))},
        "responses": {
            "200": {"description": "One prediction a row.", "content": _json(answer)},
            "default": {"description": "A refusal.", "content": _json(error)},
        },
    }
    return {
        "openapi": VERSION,
        "info": {"title": endpoint, "version": "" if metadata is None else ",".join(metadata.get("versions", ()))},
        "servers": [{"url": names.invocations_path(endpoint).removesuffix("/invocations")}],
        "paths": {"/invocations": {"post": scoring}},
        "components": {"securitySchemes": {"token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}}},
    }


def _json(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}


def _request(inputs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Each of the forms that a scoring request may have."""
    if not inputs:
        return {"type": "object", "description": "The model says nothing of its inputs."}
    columns = [str(each["name"]) for each in inputs]
    record = {"type": "object", "properties": {str(each["name"]): _value(each) for each in inputs}}
    records = {"type": "array", "items": record}
    row = {"type": "array", "prefixItems": [_value(each) for each in inputs]}
    split = {
        "type": "object",
        "required": ["columns", "data"],
        "properties": {
            "columns": {"type": "array", "items": {"enum": columns}},
            "data": {"type": "array", "items": row},
            "index": {"type": "array"},
        },
    }
    by_column = {str(each["name"]): {"type": "array", "items": _value(each)} for each in inputs}
    whole = {"anyOf": [{"type": "object", "properties": by_column}, {"type": "array"}]}
    forms = {"dataframe_split": split, "dataframe_records": records, "instances": {"type": "array"}, "inputs": whole}
    return {
        "oneOf": [
            {"type": "object", "required": [name], "properties": {name: form, "params": {"type": "object"}}}
            for name, form in forms.items()
        ]
    }


def _predictions(outputs: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    return {"type": "array", "items": _value(outputs[0])} if len(outputs) == 1 else _ANYTHING


def _value(tensor: Mapping[str, Any]) -> dict[str, Any]:
    """What one row has of a tensor: its first dimension is the rows."""
    datatype = str(tensor["datatype"])
    kind = _TYPES.get(datatype, "number" if datatype.startswith(("FP", "BF")) else "integer")
    value: dict[str, Any] = {"type": kind}
    for _ in tensor["shape"][1:]:
        value = {"type": "array", "items": value}
    return value
