"""MLflow's scoring request in front of an engine: to tensors of the Open Inference Protocol, or to OpenAI's. Pure.

What the engine says of its own inputs (GET /v2/models/NAME) decides names, datatypes and shapes; the model's signature
decides the order of columns and what an output is called.
"""

import json
import math
import struct
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from headrace.contract.errors import InputError
from headrace.runtimes.protocols import tensors
from headrace.runtimes.protocols.tensors import fault

FORMS: Final = ("dataframe_split", "dataframe_records", "instances", "inputs")
_NUMBERS: Final = (int, float)


@dataclass(frozen=True, kw_only=True)
class Table:
    """A request's input: named columns (or tensors), or one unnamed tensor."""

    named: Mapping[str, Any]
    """Lists by name; empty where the input is `whole`."""
    whole: Any = None


def read_table(document: Any) -> Table:
    """The input of a scoring request, whichever of the four forms it has. InputError says what is wrong."""
    given = [form for form in FORMS if isinstance(document, dict) and form in document]
    if len(given) != 1:
        raise fault(
            f"The input must be a JSON dictionary with exactly one of the input fields {list(FORMS)}. "
            f"Received dictionary with input fields: {given}."
        )
    value = document[given[0]]
    if given[0] == "dataframe_split":
        return _split(value)
    if given[0] in ("dataframe_records", "instances") and _records(value):
        names = list(dict.fromkeys(name for row in value for name in row))
        return Table(named={name: [row.get(name) for row in value] for name in names})
    if given[0] == "dataframe_records":
        raise fault("dataframe_records must be a list of objects and not be empty")
    if isinstance(value, dict):
        return Table(named={name: item if isinstance(item, list) else [item] for name, item in value.items()})
    return Table(named={}, whole=value if isinstance(value, list) else [value])


def _records(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(row, dict) for row in value)


def _split(value: Any) -> Table:
    if not isinstance(value, dict) or not isinstance(value.get("data"), list):
        raise fault("Dataframe split format must be a dictionary with a list 'data'.")
    rows, names = value["data"], value.get("columns")
    if names is None:
        return Table(named={}, whole=rows)
    if not isinstance(names, list) or not all(isinstance(row, list) and len(row) == len(names) for row in rows):
        raise fault("Each row of 'data' must have one value for each of 'columns'.")
    return Table(named={str(name): [row[at] for row in rows] for at, name in enumerate(names)})


def infer_request(
    table: Table,
    inputs: Sequence[Mapping[str, Any]],
    *,
    columns: Sequence[str],
    optional: Collection[str],
    binary: bool,
) -> tuple[bytes, bytes]:
    """The JSON part of an inference request and the raw tensors that follow it.

    `inputs` is the engine's own description, `columns` the signature's columns in order, `optional` those of them that
    may be left out. `binary` says whether the engine takes raw tensors; one that does not cannot be given missing
    values.
    """
    described: list[dict[str, Any]] = []
    raw = b""
    for one in inputs:
        name, datatype = str(one["name"]), str(one["datatype"])
        if name in table.named:
            data = table.named[name]
        elif len(inputs) == 1:
            data = _matrix(table, columns)
        elif name in optional:
            continue
        else:
            raise fault(f"Model is missing inputs ['{name}'].")
        shape = tensors.shape_of(data)
        if shape is None:
            raise fault(f"input '{name}' is ragged: its rows differ in length")
        wanted = list(one.get("shape") or ())
        if len(wanted) == len(shape) + 1 and wanted[-1] in (1, -1):
            shape = (*shape, 1)  # a column of an engine that batches
        elif len(shape) == len(wanted) + 1 and shape[-1] == 1:
            shape = shape[:-1]  # the rows of a table with one column, for an engine that takes a column
        values = [_value(item, datatype, name) for item in tensors.flat(data)]
        tensor: dict[str, Any] = {"name": name, "datatype": datatype, "shape": list(shape)}
        if binary:
            try:
                packed = tensors.to_bytes(datatype, values)
            except (OverflowError, struct.error, TypeError) as error:
                raise fault(f"input '{name}' holds a value that {datatype} cannot") from error
            tensor["parameters"] = {"binary_data_size": len(packed)}
            raw += packed
        else:
            if None in values:
                raise fault(f"input '{name}' has a missing value, and this engine takes none")
            tensor["data"] = values
        described.append(tensor)
    document: dict[str, Any] = {"inputs": described}
    if binary:
        document["parameters"] = {"binary_data_output": True}
    return json.dumps(document).encode(), raw


def _matrix(table: Table, columns: Sequence[str]) -> Any:
    """The one tensor of a model that takes one: as it was given, or the columns side by side."""
    if not table.named:
        return table.whole
    names = [name for name in columns if name] or list(table.named)
    missing = [name for name in names if name not in table.named]
    if missing:
        raise fault(f"Model is missing inputs {missing}.")
    if len(names) == 1 and tensors.shape_of(table.named[names[0]]) != (len(table.named[names[0]]),):
        return table.named[names[0]]  # a tensor under a name of the caller's
    return [list(row) for row in zip(*(table.named[name] for name in names), strict=True)]


def _value(item: Any, datatype: str, name: str) -> Any:
    if datatype == "BYTES":
        if item is None:
            raise fault(f"input '{name}' has a missing text, which no tensor can hold")
        return item if isinstance(item, str) else json.dumps(item)
    if datatype == "BOOL":
        if isinstance(item, bool):
            return item
    elif datatype.startswith(("INT", "UINT")):
        if isinstance(item, _NUMBERS) and float(item).is_integer():
            return int(item)
    elif item is None or isinstance(item, _NUMBERS):
        return None if item is None else float(item)
    raise fault(f"Data is not compatible with model signature. Failed to convert column {name} to type '{datatype}'.")


def predictions(outputs: Sequence[Mapping[str, Any]], raw: bytes, signature: Mapping[str, Any] | None) -> Any:
    """What /invocations answers for an engine's outputs: a list, records, or lists by name, as MLflow would."""
    named, texts = _named_columns(signature)
    found: dict[str, Any] = {}
    for one in outputs:
        name, datatype, shape = str(one["name"]), str(one["datatype"]), [int(length) for length in one["shape"]]
        size = (one.get("parameters") or {}).get("binary_data_size")
        if size is None:
            values = tensors.flat(one["data"])
        else:
            values, raw = tensors.from_bytes(datatype, math.prod(shape), raw[:size], name), raw[size:]
        values = [None if isinstance(item, float) and not math.isfinite(item) else item for item in values]
        if datatype == "BYTES" and name not in texts:
            values = [_read(item) for item in values]
        column = signature is not None and name in (*named, *texts)
        found[name] = values if column or len(shape) < 2 else tensors.nested(values, shape)
    if set(found) == set(named) and len({len(values) for values in found.values()}) == 1:
        return [dict(zip(named, row, strict=True)) for row in zip(*(found[name] for name in named), strict=True)]
    return next(iter(found.values())) if len(found) == 1 else found


def _read(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _named_columns(signature: Mapping[str, Any] | None) -> tuple[list[str], list[str]]:
    """Output columns with names of their own, and outputs that are texts and not JSON."""
    text = (signature or {}).get("outputs")
    specs: list[dict[str, Any]] = json.loads(text) if text else []
    columns = [spec for spec in specs if spec.get("type") != "tensor"]
    texts = [str(spec.get("name", "predictions")) for spec in columns if spec.get("type") in ("string", "datetime")]
    return [str(spec["name"]) for spec in columns if "name" in spec], texts


def generation(document: Any, *, model: str) -> tuple[str, dict[str, Any], bool]:
    """Path and body of OpenAI's for a scoring request, and whether its answer is wrapped in `predictions`.

    MLflow's unified format ({"messages"}, {"prompt"}, {"input"}) goes as it is; texts in one of the four forms become
    prompts, and `params` the request's own fields.
    """
    if not isinstance(document, dict):
        raise fault("The input must be a JSON dictionary.")
    for key, path in (
        ("messages", "/v1/chat/completions"),
        ("prompt", "/v1/completions"),
        ("input", "/v1/embeddings"),
    ):
        if key in document:
            return path, {**document, "model": model}, False
    table = read_table(document)
    columns = list(table.named.values())
    if len(columns) > 1:
        raise fault("A text model takes one column of prompts.")
    prompts = columns[0] if columns else table.whole
    prompts = [row[0] if isinstance(row, list) and len(row) == 1 else row for row in prompts]
    if not prompts or not all(isinstance(prompt, str) for prompt in prompts):
        raise fault("A text model takes texts, or messages as {'messages': [{'role': …, 'content': …}]}.")
    params = document.get("params") or {}
    if not isinstance(params, dict):
        raise fault("'params' must be an object.")
    renamed = {"max_new_tokens": "max_tokens", "num_return_sequences": "n"}
    return (
        "/v1/completions",
        {"model": model, "prompt": prompts, **{renamed.get(name, str(name)): value for name, value in params.items()}},
        True,
    )


def texts_of(answer: Mapping[str, Any]) -> list[str]:
    """The texts of a completion, in the order of its prompts."""
    choices = answer.get("choices")
    if not isinstance(choices, list):
        raise InputError("model", ["its engine answered without choices"])
    return [str(choice["text"]) for choice in sorted(choices, key=lambda choice: int(choice.get("index", 0)))]
