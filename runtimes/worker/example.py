"""The model's own input example, whichever MLflow logged it, as the request that asks the same.

MLflow writes the request itself since 2.16 (`serving_input_example.json`). Before, there is only the example, in the
form of its year: tables without their index, and without columns where those have no names (`pandas_orient: values`,
which MLflow reads as `split`, too); arrays as `{"inputs": …}`; sparse matrices by their three arrays; since 2.6 all of
them under `inputs`, beside `params`; from 2.10 to 2.15 any JSON object as it is.
"""

from __future__ import annotations

import json
import os
from typing import Any

from .layout import UNIFIED

MOST_NUMBERS = 1_000_000
"""Of a sparse matrix, which a request holds with its zeros; more do not fit into one (16 MiB)."""


def request(model_directory: str, info: dict[str, Any]) -> bytes:
    """The body of the request. `info` is what the MLmodel file says of the example.

    ValueError, LookupError, TypeError or OSError where there is none.
    """
    serving = info.get("serving_input_path")
    if serving:
        with open(os.path.join(model_directory, serving), "rb") as file:
            body = file.read()
        json.loads(body)
        return body
    with open(os.path.join(model_directory, info["artifact_path"]), encoding="utf-8") as file:
        example = json.load(file)
    return json.dumps(_asking(example, info)).encode()


def answered(model: Any, model_directory: str) -> bool:
    """Whether the model answers its example as MLflow reads it, without any request. Raises what reading it raises."""
    metadata = model.metadata
    given = metadata.load_input_example(model_directory)
    params = getattr(metadata, "load_input_example_params", lambda _: None)(model_directory)
    try:
        model.predict(given) if params is None else model.predict(given, params=params)
    except BaseException:  # sys.exit in a model too
        return False
    return True


def _asking(example: Any, info: dict[str, Any]) -> dict[str, Any]:
    kind, params = info.get("type"), None
    beside = kind == "dataframe" and type(example) is dict and set(example) == {"inputs", "params"}
    if info.get("params") or beside:  # MLflow 3 does not say so where they are empty
        example, params = example["inputs"], example["params"]
    if kind == "dataframe":
        document = _table(example)
    elif kind == "ndarray":
        as_served = info.get("format") == "tf-serving" and type(example) is dict
        document = example if as_served and not {"inputs", "instances"}.isdisjoint(example) else {"inputs": example}
    elif kind in ("sparse_matrix_csr", "sparse_matrix_csc"):
        document = {"inputs": _dense(example, by_column=kind == "sparse_matrix_csc")}
    elif kind == "json_object":
        if type(example) is dict and not UNIFIED.isdisjoint(example):
            return {**example, **(params or {})}
        document = {"inputs": example}
    else:
        raise ValueError(f"its type is {kind!r}, which is not known")
    return document if params is None else {**document, "params": params}


def _table(example: Any) -> dict[str, Any]:
    if type(example) is dict and "data" in example:
        return {"dataframe_split": example}
    if type(example) is list and example:
        return {"dataframe_records": example} if type(example[0]) is dict else {"dataframe_split": {"data": example}}
    raise ValueError("it is neither a table in two parts, columns and data, nor a list of rows")


def _dense(matrix: dict[str, Any], *, by_column: bool) -> list[list[Any]]:
    rows, columns = matrix["shape"]
    if rows * columns > MOST_NUMBERS:
        raise ValueError(f"it is a sparse matrix of {rows} × {columns} numbers, too many for a request")
    made: list[list[Any]] = [[0] * columns for _ in range(rows)]
    starts, places, values = matrix["indptr"], matrix["indices"], matrix["data"]
    for line in range(len(starts) - 1):
        for at in range(starts[line], starts[line + 1]):
            row, column = (places[at], line) if by_column else (line, places[at])
            made[row][column] = values[at]
    return made
