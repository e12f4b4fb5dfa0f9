"""PayloadValues: the values of one row of a request, and what was predicted for it, by column. Pure."""

import functools
import random
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import orjson

TEXT_MOST: Final = 100
"""Characters of a text that are kept; of a longer one the length is kept too."""


class LongText(NamedTuple):
    """What is kept of a text that is no category."""

    beginning: str
    length: int


Value = float | str | LongText | None
"""A number, a category or a text; None where it is null or of another kind."""
INPUT, PREDICTION, QUALITY = "input", "prediction", "quality"
COLUMNS_MOST: Final = 200
"""Of a row, in the order in which the request has them: wide tensors are not told from each other by their columns."""


class Column(NamedTuple):
    """Of a request, of its answer, or what its label says of both."""

    kind: str
    """INPUT, PREDICTION or QUALITY."""
    name: str


@functools.lru_cache(maxsize=10_000)
def _column(kind: str, name: str) -> Column:
    """One object for all rows: a sample has a million values."""
    return Column(kind, name)


def values(request: str, response: str, label: str | None, *, chance: random.Random) -> dict[Column, Value]:
    """The values of one row of a request, drawn by `chance`: rows of one request resemble each other, and tests want
    values that know nothing of each other. Empty for requests of another form than those of tables and tensors."""
    rows, predicted = _rows(_document(request)), _rows(_document(response), of_answer=True)
    if not rows and not predicted:
        return {}
    at = chance.randrange(max(len(rows), len(predicted), 1))
    found: dict[Column, Value] = {}
    if at < len(rows):
        found |= {_column(INPUT, name): value for name, value in rows[at].items()}
    if at < len(predicted):
        found |= {_column(PREDICTION, name): value for name, value in predicted[at].items()}
        if label is not None:
            found |= _quality(predicted[at], _at(_document(label, label), at, len(predicted)))
    return found


def _quality(predicted: Mapping[str, Value], label: Value) -> dict[Column, Value]:
    """How wrong a prediction of one value was: by how much where it and its label are numbers, else whether. Of numbers
    for two classes that is the same."""
    if len(predicted) != 1 or label is None:
        return {}
    [value] = predicted.values()
    if isinstance(value, float) and isinstance(label, float):
        return {_column(QUALITY, "error"): abs(value - label)}
    return {_column(QUALITY, "error"): float(value != label)}


def _at(label: Any, at: int, rows: int) -> Value:
    """The label of one row: the label's own where it has one a row, else the same for all."""
    return _value(label[at]) if isinstance(label, list) and len(label) == rows else _value(label)


def _document(text: str, otherwise: Any = None) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return otherwise


def _rows(document: Any, *, of_answer: bool = False) -> list[dict[str, Value]]:
    """The rows of what MLflow's scoring server and the Open Inference Protocol take and answer."""
    if not isinstance(document, dict):
        return []
    if isinstance(split := document.get("dataframe_split"), dict) and isinstance(split.get("data"), list):
        columns = split.get("columns")
        return [_named(row, columns if isinstance(columns, list) else None) for row in split["data"]]
    keys = ("predictions", "outputs") if of_answer else ("dataframe_records", "inputs", "instances")
    held = next((document[key] for key in keys if key in document), None)
    if isinstance(held, dict):  # a list a column
        lists = {name: column for name, column in held.items() if isinstance(column, list)}
        return _transposed(lists, max(map(len, lists.values()), default=0))
    if not isinstance(held, list):
        return []
    if held and all(isinstance(one, dict) and "name" in one and "data" in one for one in held):
        return _of_tensors(held)
    return [_named(row, None) for row in held]


def _named(row: Any, columns: Sequence[Any] | None) -> dict[str, Value]:
    """A row by column: one that has no names has numbers for them."""
    if isinstance(row, dict):
        named = row.items()
    elif isinstance(row, list):
        named = zip(columns if columns is not None else range(len(row)), row, strict=False)  # type: ignore[assignment]
    else:
        named = {0: row}.items()
    return {str(name): _value(value) for name, value in list(named)[:COLUMNS_MOST]}


def _of_tensors(tensors: Sequence[Mapping[str, Any]]) -> list[dict[str, Value]]:
    """Tensors of the Open Inference Protocol: the first dimension are rows; of a second each place is a column."""
    columns: dict[str, list[Any]] = {}
    rows = 0
    for tensor in tensors:
        shape, data = tensor.get("shape"), tensor["data"]
        if not isinstance(shape, list) or not shape or not isinstance(data, list) or not shape[0]:
            continue
        flat = [value for part in data for value in (part if isinstance(part, list) else [part])]
        width, rows = len(flat) // int(shape[0]), max(rows, int(shape[0]))
        for place in range(min(width, COLUMNS_MOST)):
            columns[str(tensor["name"]) + (f"[{place}]" if width > 1 else "")] = flat[place::width]
    return _transposed(columns, rows)


def _transposed(columns: Mapping[str, Sequence[Any]], rows: int) -> list[dict[str, Value]]:
    kept = list(columns.items())[:COLUMNS_MOST]
    return [{name: _value(column[at]) for name, column in kept if at < len(column)} for at in range(rows)]


def _value(value: Any) -> Value:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return float(value)
    if not isinstance(value, str):
        return None
    return value if len(value) <= TEXT_MOST else LongText(value[:TEXT_MOST], len(value))
