"""Proves at load what the fast way may do for this model, in this environment, with this MLflow.

It must hand the model the same object as MLflow's own scoring: requests of every form are scored with the model's
predict function replaced by one that keeps what it is given. Whether requests may be merged is another proof
(`independence`).
"""

from __future__ import annotations

# ruff: noqa: B905 -- zip(strict=) came with Python 3.10 and a model's Python may be older.
import contextlib
import importlib
import inspect
import json
import logging
from typing import Any

from .columns import Columns
from .tensors import Tensor

log = logging.getLogger("headrace.worker")

ROW_WISE_LOADERS = frozenset(
    "mlflow." + name
    for name in ("sklearn", "xgboost", "lightgbm", "catboost", "onnx", "pytorch", "tensorflow", "keras")
)
"""pyfunc loaders whose predictions are made row by row. Code of the user's own (python_model) can do anything, so its
requests are never merged."""

PYTHON_MODEL_LOADERS = frozenset(("mlflow.pyfunc.model", "mlflow.pyfunc.loaders.code_model"))

NETWORK_LOADERS = frozenset("mlflow." + name for name in ("onnx", "pytorch", "tensorflow", "keras"))
"""Those of them that compute in single precision, mostly, and take whole numbers as places in a table."""

_SAMPLES: dict[str, list[Any]] = {
    "double": [1, 2.5, -3, 0, 1e-7, 12345.678],
    "float": [1, 2.5, -3, 0, 1e-7, 0.1],
    "long": [1, -2, 0, 7, 1 << 40, 3],
    "integer": [1, -2, 0, 7, 1 << 20, 3],
    "boolean": [True, False, True, True, False, False],
    "string": ["a", "", "b c", "é", "1", "true"],
}


class Captured(Exception):
    """Raised in place of a prediction."""


def capture(scorer: Any, document: Any) -> tuple[Any, dict[str, Any]] | None:
    """What MLflow's own scoring hands to the model for a JSON request: the data and the keyword arguments."""
    return capture_body(scorer, "application/json", json.dumps(document).encode())


def capture_body(scorer: Any, content_type: str, body: bytes) -> tuple[Any, dict[str, Any]] | None:
    """The same for a request of any content type."""
    model = scorer.model
    original = model._predict_fn
    seen: list[tuple[Any, dict[str, Any]]] = []

    def keep(data: Any, **keywords: Any) -> Any:
        seen.append((data, keywords))
        raise Captured

    keep.__signature__ = inspect.signature(original)  # type: ignore[attr-defined]
    model._predict_fn = keep
    try:
        scorer.predict(scorer.parse(content_type, body))
    except Exception as error:
        if not isinstance(error, Captured):
            log.debug("MLflow refuses a trial request: %s", error)
    finally:
        model._predict_fn = original
    return seen[0] if seen else None


def prediction_context(model: Any) -> Any:
    """What `PyFuncModel.predict` puts around a call of the model: MLflow's tracing reads it. A context manager's maker.

    MLflow before 2.11 has no such context, and then there is none.
    """
    pyfunc = importlib.import_module("mlflow.pyfunc")
    try:
        contexts = importlib.import_module("mlflow.pyfunc.context")
    except ImportError:
        return contextlib.nullcontext
    read = getattr(pyfunc, "_get_dependencies_schema_from_model", None)  # not in MLflow 2.14
    schema = None if read is None else read(model.metadata)
    model_id = getattr(model, "model_id", None)

    def around() -> Any:
        context = contexts.Context()
        if schema:
            context.update(**schema)
        if model_id:
            context.update(model_id=model_id)
        return contexts.set_prediction_context(context)

    return around


def identical(ours: Any, theirs: Any, pandas: Any, numpy: Any) -> bool:
    """Whether two inputs are the same for the model: types, labels, memory order, and what is a view of what."""
    if type(ours) is not type(theirs):
        return False
    if isinstance(ours, pandas.DataFrame):
        if _blocks(ours) != _blocks(theirs):  # first: some of what follows makes pandas 1 rearrange them
            return False
        if ours.shape != theirs.shape or list(ours.dtypes) != list(theirs.dtypes):
            return False
        if type(ours.index) is not type(theirs.index) or not ours.index.equals(theirs.index):
            return False
        if list(ours.columns) != list(theirs.columns) or not ours.equals(theirs):
            return False
        if _shown(ours, numpy) != _shown(theirs, numpy):
            return False
        return _laid_out_alike(ours.to_numpy(), theirs.to_numpy())
    if ours.dtype != theirs.dtype or not numpy.array_equal(ours, theirs, equal_nan=True):
        return False
    return _laid_out_alike(ours, theirs) and _owned(ours) == _owned(theirs)


def _blocks(frame: Any) -> list[Any]:
    """The columns of each block of a frame's memory, and whether a model may write there; empty where pandas hides it.

    Of columns in one block, `values` is a view: what a model writes there stays in a frame that it took them from.
    """
    found = []
    for block in getattr(getattr(frame, "_mgr", None), "blocks", ()):
        flags = getattr(block.values, "flags", None)
        found.append((tuple(block.mgr_locs), getattr(flags, "writeable", None)))
    return sorted(found, key=str)


def _shown(frame: Any, numpy: Any) -> tuple[bool, bool]:
    """Whether `values` is the frame's own memory, and whether a model may write there: what it writes then stays."""
    return bool(numpy.shares_memory(frame.values, frame.values)), bool(frame.values.flags.writeable)


def _owned(array: Any) -> tuple[bool, bool]:
    """Whether an array is no view of another, and whether a model may write there."""
    return bool(array.flags.owndata), bool(array.flags.writeable)


def _laid_out_alike(ours: Any, theirs: Any) -> bool:
    # A BLAS takes another road for another memory order. Strides of a dimension of one element mean nothing.
    return bool(
        ours.flags.c_contiguous == theirs.flags.c_contiguous and ours.flags.f_contiguous == theirs.flags.f_contiguous
    )


def _table_requests(plan: Columns, form: str, nulls: bool) -> list[dict[str, Any]]:
    rows = [[_SAMPLES[kind][(index + shift) % 6] for shift, kind in enumerate(plan.types)] for index in range(6)]
    if nulls:
        rows = [
            [None if kind in ("double", "float") else row[at] for at, kind in enumerate(plan.types)] for row in rows
        ]
        rows[1:] = [[_SAMPLES[kind][at % 6] for at, kind in enumerate(plan.types)]] * 2
    documents: list[dict[str, Any]] = []
    for some in (rows[:1], rows):
        records = [dict(zip(plan.names, row)) for row in some]
        if form == "dataframe_split":
            documents.append({form: {"columns": plan.names, "data": some}})
            turned = [plan.names[-1], "headrace extra", *plan.names[:-1]]
            data = [[row[-1], "x", *row[:-1]] for row in some]
            documents.append({form: {"columns": turned, "data": data}})
        elif form == "inputs" and not nulls:
            documents.append({form: {name: [row[at] for row in some] for at, name in enumerate(plan.names)}})
            documents.append({form: records})
        else:
            documents.append({form: records})
            documents.append({form: [dict(reversed(list(record.items()))) for record in records]})
    return documents


def _tensor_requests(plan: Tensor, form: str) -> list[dict[str, Any]]:
    def filled(shape: tuple[int, ...], start: int) -> Any:
        if not shape:
            return start % 7 if plan.dtype.kind != "f" else (start % 7) / 2
        return [filled(shape[1:], start + index) for index in range(shape[0])]

    return [{form: [filled(plan.shape, row) for row in range(count)]} for count in (1, 3)]


def agree(scorer: Any, plan: Any, pandas: Any, numpy: Any) -> dict[str, Any] | None:
    """Finds the forms in which `plan` and MLflow agree; the keywords MLflow passes, or None when they never agree."""
    keywords: dict[str, Any] | None = None
    if isinstance(plan, Columns):
        document = _table_requests(plan, "dataframe_split", False)[-2]
        seen = capture(scorer, document)
        if seen is None or not isinstance(seen[0], pandas.DataFrame):
            return None
        plan.dtypes = list(seen[0].dtypes)
        plan.apart = _blocks(seen[0]) != _blocks(plan.build(document["dataframe_split"]["data"]))
    for form in ("dataframe_split", "dataframe_records", "inputs", "instances"):
        if isinstance(plan, Columns):
            documents = _table_requests(plan, form, False)
        else:
            documents = _tensor_requests(plan, form) if form in ("inputs", "instances") else []
        same = bool(documents)
        for document in documents:
            seen = capture(scorer, document)
            same = same and seen is not None and _built_alike(plan, document, seen[0], pandas, numpy)
            if not same:
                break
            assert seen is not None
            same = keywords is None or seen[1] == keywords
            keywords = seen[1]
        if same:
            plan.forms.add(form)
    if isinstance(plan, Columns) and plan.forms:
        plan.nulls = True
        for form in sorted(plan.forms):
            for document in _table_requests(plan, form, True)[::2]:  # without those that show the order of names again
                seen = capture(scorer, document)
                if seen is None or not _built_alike(plan, document, seen[0], pandas, numpy):
                    plan.nulls = False
    return keywords if plan.forms else None


_NUMBERS = (
    "1",
    "0",
    "-3",
    "2.5",
    "0.1",
    "-0.30000000000000004",
    "1e-7",
    "12345.678",
    "1.7976931348623157e308",
    "5E-324",
)


def csv_agrees(scorer: Any, plan: Columns, table: Any, keywords: Any, libraries: tuple[Any, Any]) -> bool:
    """Whether plain CSV tables, read alone and together, give the model what MLflow gives it for each."""
    if not table.suits:
        return False
    pandas, numpy = libraries
    parts, wanted = [], []
    for count in (1, 2, 7):
        rows = [
            ",".join(_NUMBERS[(row * 3 + at) % len(_NUMBERS)] for at in range(len(plan.names))) for row in range(count)
        ]
        body = (",".join(plan.names) + "\n" + "\n".join(rows) + "\n").encode()
        seen = capture_body(scorer, "text/csv", body)
        lines = table.rows(body)
        if seen is None or lines is None or seen[1] != keywords:
            return False
        if not identical(plan.build_block(table.read([lines])), seen[0], pandas, numpy):
            return False
        parts.append(lines)
        wanted.append(seen[0])
    return identical(plan.build_block(table.read(parts)), pandas.concat(wanted, ignore_index=True), pandas, numpy)


def _built_alike(plan: Any, document: Any, theirs: Any, pandas: Any, numpy: Any) -> bool:
    form = next(iter(document))
    rows = plan.rows(form, document)
    if rows is None or not plan.suits(rows):
        return rows is not None  # left to MLflow: no disagreement
    return identical(plan.build(rows), theirs, pandas, numpy)
