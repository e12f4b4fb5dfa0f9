"""Labels of rows (`index`), which a model can read off its DataFrame: each row keeps the caller's own.

MLflow hands `index` to pandas, and so does this, by the same function. That both give the model the same is proven at
load. Rows of several requests go into one call with their labels where the model was found to answer alike whatever
its rows are called, twice the same included; elsewhere requests that name their rows are answered one a call.
"""

from __future__ import annotations

from typing import Any

from . import equivalence_check
from .columns import Columns
from .independence import close

_KINDS: tuple[tuple[Any, ...], ...] = (
    (18, 19, 20),
    (7, 7, 7),
    (2, -1, 1 << 40),
    ("b", "a", "b"),
    ("", "2026-01-01", "1"),
    (0.5, 1.0, -2.0),
    (True, False, True),
    (None, "a", 1),
)
"""Labels of three rows."""
_VALUES = {"double": 1.5, "float": 2.5, "long": 3, "integer": 4, "boolean": True, "string": "a"}


def joined(parts: list[tuple[int, Any]], numpy: Any) -> Any:
    """The labels of the rows of several requests, each given as its number of rows and its labels, a list or an array.

    Rows that their caller did not name (None) are numbered.
    """
    whole = [range(count) if labels is None else labels for count, labels in parts]
    if len(whole) == 1:
        return whole[0]
    if any(type(labels) is list for labels in whole):
        return [label for labels in whole for label in (labels if type(labels) is list else map(int, labels))]
    return numpy.concatenate(whole)


def put(frame: Any, labels: Any, pandas: Any) -> Any:
    """The table with these labels, as `pandas.DataFrame(index=labels)` has them."""
    frame.index = pandas.Index(labels, tupleize_cols=False)
    return frame


def agree(scorer: Any, plan: Columns, keywords: Any, libraries: tuple[Any, Any]) -> bool:
    """Whether a table with labels is to the model what MLflow would hand to it."""
    if "dataframe_split" not in plan.forms:
        return False
    pandas, numpy = libraries
    rows = [[_VALUES[kind] for kind in plan.types]] * 3
    for kind in _KINDS:
        for length in (1, 3):
            labels, some = list(kind[:length]), rows[:length]
            document = {"dataframe_split": {"index": labels, "columns": plan.names, "data": some}}
            seen = equivalence_check.capture(scorer, document)
            if seen is None or seen[1] != keywords:
                return False
            ours = put(plan.build(some), labels, pandas)
            if ours.index.dtype != seen[0].index.dtype or not equivalence_check.identical(ours, seen[0], pandas, numpy):
                return False
    return True


def ignored(plan: Columns, rows: list[Any], predict: Any, pandas: Any) -> bool:
    """Whether the model answers alike whatever its rows are called. `predict` gives a JSON-ready result."""
    rows = (list(rows) * 3)[:3]
    try:
        plain = predict(plan.build(rows))
        return all(close(predict(put(plan.build(rows), list(kind), pandas)), plain) for kind in _KINDS)
    except Exception:
        return False
