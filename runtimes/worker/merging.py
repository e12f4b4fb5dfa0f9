"""Answers several requests with one model call, where that was proven right; everything else goes one by one."""

# ruff: noqa: B905 -- zip(strict=) came with Python 3.10 and a model's Python may be older.

import contextlib
import copy
import importlib
import json
import logging
from collections.abc import Iterator
from itertools import chain
from typing import Any

from . import loading, trial
from .columns import Columns, form_of
from .faults import Fault
from .plaincsv import PlainCsv
from .scoring import CSV, JSON, Answer, Request, Scorer
from .tensors import Tensor

log = logging.getLogger("headrace.worker")

PACKED = "application/x-headrace-packed"
"""A table or tensor of numbers that the front has packed, see `front.packing`."""


class Merger:
    """The fast way to one model."""

    def __init__(self, scorer: Scorer) -> None:
        self._scorer = scorer
        self._plan: Any = None
        self._csv: PlainCsv | None = None
        self._keywords: dict[str, Any] = {}
        self._context: Any = contextlib.nullcontext
        self.merges = False
        self.reason = ""
        """Why requests are not merged; empty when they are."""

    def prepare(self, warm_up: "bytes | None") -> None:
        """Finds out what may be done for this model; never raises."""
        logging.disable(logging.WARNING)  # trial requests are none of the reader's business
        try:
            self._prepare(warm_up)
        except Exception as error:
            self._plan = None
            self.merges = False
            self.reason = f"the trial failed ({type(error).__name__})"
        finally:
            logging.disable(logging.NOTSET)

    @property
    def packs(self) -> "list[str]":
        """Columns in whose order requests may come as raw doubles; empty when they may not."""
        return list(self._plan.names) if isinstance(self._plan, Columns) and self._plan.packs else []

    @property
    def packs_shape(self) -> "list[int]":
        """Shape of one item, when requests for a tensor may come as raw doubles; empty when they may not."""
        return list(self._plan.shape) if isinstance(self._plan, Tensor) and self._plan.packs else []

    @property
    def forms(self) -> "list[str]":
        """Input forms that take the fast way."""
        return [*sorted(self._plan.forms), *(["csv"] if self._csv else [])] if self._plan is not None else []

    def answer(self, requests: "list[Request]") -> "list[Answer]":
        """Answers in the order of the requests; never raises."""
        answers: list[Answer | None] = [None] * len(requests)
        if self._plan is not None:
            self._answer_fast(requests, answers)
        return [self._alone(request) if answer is None else answer for request, answer in zip(requests, answers)]

    def stream(self, content_type: str, body: bytes) -> "Iterator[bytes]":
        """The pieces of a streamed answer; streams are never merged."""
        return self._scorer.stream(content_type, body)

    def fault(self, error: BaseException, body: bytes) -> Fault:
        """What to answer to a stream that raised `error`."""
        return self._scorer.fault(error, body)

    def _prepare(self, warm_up: "bytes | None") -> None:
        scorer = self._scorer
        model = scorer.model
        loader = loading.loader_of(model)
        if loader not in trial.ROW_WISE_LOADERS | trial.PYTHON_MODEL_LOADERS or not hasattr(model, "_predict_fn"):
            self.reason = f"models of {loader} may do anything with their rows"
            return
        metadata = model.metadata
        for hinted in ("_is_signature_from_type_hint", "_is_type_hint_from_example"):
            if hasattr(metadata, hinted) and getattr(metadata, hinted)():
                self.reason = "its signature comes from type hints"
                return
        numpy, pandas = importlib.import_module("numpy"), importlib.import_module("pandas")
        schema = scorer.input_schema
        plan = Columns.of(schema, numpy, pandas) or Tensor.of(schema, numpy)
        if plan is None:
            self.reason = "its signature is not a table of numbers and text or one tensor" if schema else "no signature"
            return
        keywords = trial.agree(scorer, plan, pandas, numpy)
        if keywords is None:
            self.reason = "MLflow builds its input in another way"
            return
        self._plan, self._keywords = plan, keywords
        if isinstance(plan, Columns) and plan.packs and set(plan.types) == {"double"}:
            table = PlainCsv(plan.names, numpy, pandas)
            self._csv = table if trial.csv_agrees(scorer, plan, table, keywords, (pandas, numpy)) else None
        self._context = trial.prediction_context(model)
        if loader not in trial.ROW_WISE_LOADERS:
            self.reason = f"models of {loader} may do anything with their rows"
            return
        rows = self._example_rows(warm_up)
        if not rows:
            self.reason = "it has no input example to check merging with"
            return
        self.reason = trial.merging(plan, trial.varied(rows), self._predict)
        if self.reason:  # changed numbers may be what the model cannot take
            self.reason = trial.merging(plan, (list(rows) * 3)[:6], self._predict)
        self.merges = not self.reason

    def _example_rows(self, warm_up: "bytes | None") -> "list[Any]":
        if warm_up is None:
            return []
        rows = self._rows_of(json.loads(warm_up))
        return [] if rows is None else rows

    def _predict(self, data: Any) -> Any:
        with self._context():
            result = self._scorer.model._predict_fn(data, **copy.deepcopy(self._keywords))
        return self._scorer.jsonable(result)

    def _rows_of(self, document: Any) -> "list[Any] | None":
        plan = self._plan
        form = form_of(document)
        if form is None or form not in plan.forms:
            return None
        rows: list[Any] | None = plan.rows(form, document)
        return rows if rows is not None and plan.suits(rows) else None

    def _answer_fast(self, requests: "list[Request]", answers: "list[Answer | None]") -> None:
        together: list[tuple[int, Any]] = []
        documents = iter(_parsed([request.body for request in requests if request.content_type == JSON]))
        for index, request in enumerate(requests):
            if request.content_type == PACKED:
                together.append((index, self._plan.unpack(request.body)))
            elif request.content_type == JSON:
                rows = self._rows_of(next(documents))
                if rows is not None:
                    together.append((index, rows))
        if self._csv is not None:
            together += self._csv_parts(self._csv, requests)
        if self.merges:
            self._call(together, answers)
        else:
            for one in together:
                self._call([one], answers)

    def _csv_parts(self, table: PlainCsv, requests: "list[Request]") -> "list[tuple[int, Any]]":
        """The rows of the plain CSV requests, by index; all are left to MLflow when one turns out not to be plain."""
        found = [(at, table.rows(request.body)) for at, request in enumerate(requests) if request.content_type == CSV]
        plain = [(index, rows) for index, rows in found if rows is not None]
        if not plain:
            return []
        try:
            values = table.read([rows for _, rows in plain])
        except Exception as error:
            log.debug("a CSV request is not plain", exc_info=error)
            return []
        parts, start = [], 0
        for index, rows in plain:
            end = start + rows.count(b"\n")
            parts.append((index, values[start:end]))
            start = end
        return parts

    def _alone(self, request: Request) -> Answer:
        """One request through MLflow's own functions."""
        if request.content_type == PACKED:
            return self._scorer.score(JSON, json.dumps(self._plan.document(request.body)).encode())
        return self._scorer.score(request.content_type, request.body)

    def _build(self, parts: "list[Any]") -> Any:
        """The model's input for the rows of one or more requests."""
        if all(type(part) is list for part in parts):
            return self._plan.build(parts[0] if len(parts) == 1 else [row for part in parts for row in part])
        return self._plan.build_block(self._plan.join(parts))

    def _call(self, together: "list[tuple[int, Any]]", answers: "list[Answer | None]") -> None:
        """One model call; on any trouble the answers stay open and each request goes through MLflow alone."""
        if not together:
            return
        try:
            if len(together) == 1:
                result = self._predict(self._build([together[0][1]]))
                answers[together[0][0]] = Answer(200, self._scorer.dump({"predictions": result}))
                return
            result = self._predict(self._build([part for _, part in together]))
            if type(result) is not list or len(result) != sum(len(part) for _, part in together):
                return
            texts = written(result, self._scorer.dump)
            start = 0
            for index, part in together:
                end = start + len(part)
                if texts is None:
                    answers[index] = Answer(200, self._scorer.dump({"predictions": result[start:end]}))
                else:
                    answers[index] = Answer(200, ('{"predictions": [' + ", ".join(texts[start:end]) + "]}").encode())
                start = end
        except BaseException as error:  # sys.exit too; each request now meets it alone
            log.debug("a merged call failed", exc_info=error)


def _parsed(bodies: "list[bytes]") -> "list[Any]":
    """The JSON documents of several bodies; None, which no form takes, where MLflow has to word a refusal.

    The front lets only whole, valid documents through, so that all of them are read as one list: the parser's start
    costs as much as a row.
    """
    try:
        documents: list[Any] = json.loads(b"[" + b",".join(bodies) + b"]")
        if len(documents) == len(bodies):
            return documents
    except ValueError:
        log.debug("a batch holds a document that the standard library does not read")
    documents = []
    for body in bodies:
        try:
            documents.append(json.loads(body))
        except ValueError:
            documents.append(None)
    return documents


_PLAIN = frozenset((int, float, bool))


def written(result: "list[Any]", dump: Any) -> "list[str] | None":
    """The JSON texts of the items of a result, all made at once; None where items must be written with their answer.

    `dump` writes what JSON cannot carry as null; numbers have no comma in their text, hence the split.
    """
    kinds = set(map(type, result))
    if kinds <= _PLAIN:
        texts = dump(result).decode()[1:-1].split(", ")
        return texts if len(texts) == len(result) else None
    if kinds == {str}:
        return [json.encoder.encode_basestring_ascii(item) for item in result]
    if kinds == {list} and all(result) and set(map(type, chain.from_iterable(result))) <= _PLAIN:
        texts = dump(result).decode()[2:-2].split("], [")
        return [f"[{text}]" for text in texts] if len(texts) == len(result) else None
    return None
