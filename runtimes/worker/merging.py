"""Answers several requests with one model call, where that was proven right; everything else goes one by one.

A model is called once for a request, except where a merged call failed or is checked (`watch`): there its requests are
scored again, each apart, and those answers count. Merged are only models of flavors that predict (`ROW_WISE_LOADERS`).
"""

# ruff: noqa: B905 -- zip(strict=) came with Python 3.10 and a model's Python may be older.

from __future__ import annotations

import contextlib
import copy
import importlib
import json
import logging
import time
from collections.abc import Iterator
from itertools import islice
from typing import Any

from . import equivalence_check, labels, loading, parts
from . import rows as made_rows
from .columns import Columns
from .documents import parsed, written
from .faults import Fault
from .independence import Verdict, close
from .layout import form_of
from .parts import Part
from .plaincsv import PlainCsv
from .proof import Proof
from .scoring import CSV, JSON, Answer, Request, Scorer
from .tensors import Tensor
from .watch import Watch

log = logging.getLogger("headrace.worker")

CHANCE = "it answers the same request differently from time to time"


class Merger:
    """The fast way to one model."""

    def __init__(self, scorer: Scorer) -> None:
        self._scorer = scorer
        self._plan: Any = None
        self._csv: PlainCsv | None = None
        self._keywords: dict[str, Any] = {}
        self._context: Any = contextlib.nullcontext
        self._proof: Proof | None = None
        self.labels = self._merges_labels = False
        """Whether requests that name their rows take the fast way, and whether they may be merged."""
        self._libraries: tuple[Any, Any] = (None, None)
        self._most_rows = 0
        self._nulls = False
        """Whether rows with nulls may be merged."""
        self.merges = False
        self.reason = ""
        """Why requests are not merged; empty when they are."""
        self.mixes = False
        """Whether they never will be: answers were seen to depend on other rows, or on chance."""
        self.proving = False
        """Whether requests are made of the model's own example: no callers' rows, to learn from."""
        self.watch = Watch()
        self.checking_seconds = 0.0
        """Time spent on checks so far."""

    def prepare(self, warm_up: bytes | None) -> None:
        """Finds out what may be done for this model; never raises."""
        told = logging.root.manager.disable
        logging.disable(max(told, logging.WARNING))  # trial requests are none of the reader's business
        try:
            self._prepare(warm_up)
        except Exception as error:
            self._plan = self._proof = None
            self.merges = False
            self.reason = f"the trial failed ({type(error).__name__})"
        finally:
            logging.disable(told)  # as the model has it

    def end(self, reason: str) -> None:
        """Scores each request by itself from now on; `reason` says what was seen, here or in another worker."""
        self._take(Verdict(False, reason, mixes=True))
        if self._proof is not None:
            self._proof.close()

    def learn(self) -> None:
        """Tries the proof with callers' rows, where it needs them and there are enough; between calls."""
        verdict = None if self._proof is None or self.mixes else self._proof.learn()
        if verdict is None:
            return
        if self.merges and verdict.mixes:
            self.watch.differed += 1
            self.end(verdict.reason)
        else:
            self._take(verdict)

    @property
    def packs(self) -> list[str]:
        """Columns in whose order requests may come as raw doubles; empty when they may not."""
        return list(self._plan.names) if isinstance(self._plan, Columns) and self._plan.packs else []

    @property
    def packs_shape(self) -> list[int]:
        """Shape of one item, when requests for a tensor may come as raw doubles; empty when they may not."""
        return list(self._plan.shape) if isinstance(self._plan, Tensor) and self._plan.packs else []

    @property
    def forms(self) -> list[str]:
        """Input forms that take the fast way."""
        return [*sorted(self._plan.forms), *(["csv"] if self._csv else [])] if self._plan is not None else []

    def answer(self, requests: list[Request]) -> list[Answer]:
        """Answers in the order of the requests; never raises."""
        answers: list[Answer | None] = [None] * len(requests)
        if self._plan is not None:
            self._answer_fast(requests, answers)
        return [self._alone(request) if answer is None else answer for request, answer in zip(requests, answers)]

    def stream(self, content_type: str, body: bytes) -> Iterator[bytes]:
        """The pieces of a streamed answer; streams are never merged."""
        return self._scorer.stream(content_type, body)

    def fault(self, error: BaseException, body: bytes) -> Fault:
        """What to answer to a stream that raised `error`."""
        return self._scorer.fault(error, body)

    def _prepare(self, warm_up: bytes | None) -> None:
        scorer = self._scorer
        model = scorer.model
        loader = loading.loader_of(model)
        if loader not in equivalence_check.ROW_WISE_LOADERS | equivalence_check.PYTHON_MODEL_LOADERS or not hasattr(
            model, "_predict_fn"
        ):
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
        keywords = equivalence_check.agree(scorer, plan, pandas, numpy)
        if keywords is None:
            self.reason = "MLflow builds its input in another way"
            return
        self._plan, self._keywords, self._libraries = plan, keywords, (pandas, numpy)
        self.labels = isinstance(plan, Columns) and labels.agree(scorer, plan, keywords, self._libraries)
        if isinstance(plan, Columns) and plan.packs and set(plan.types) == {"double"}:
            table = PlainCsv(plan.names, numpy, pandas)
            self._csv = table if equivalence_check.csv_agrees(scorer, plan, table, keywords, (pandas, numpy)) else None
        self._context = equivalence_check.prediction_context(model)
        if loader not in equivalence_check.ROW_WISE_LOADERS:
            self.reason = f"models of {loader} may do anything with their rows"
            return
        network = loader in equivalence_check.NETWORK_LOADERS
        example = self._example_rows(warm_up)
        self._proof = Proof(plan, self._predict, example, network=network, numpy=numpy, behind=self._numbers_behind())
        self._take(self._proof.at_load())
        if self.labels and isinstance(plan, Columns):
            tried = example or list(islice(made_rows.made(plan, example, careful=network), 3))
            self._merges_labels = bool(tried) and labels.ignored(plan, tried, self._predict, pandas)

    def _take(self, verdict: Verdict) -> None:
        self._most_rows, self._nulls = verdict.most_rows, verdict.nulls
        self.reason, self.mixes, self.merges = verdict.reason, verdict.mixes, verdict.merges

    def _example_rows(self, warm_up: bytes | None) -> list[Any]:
        if warm_up is None:
            return []
        return self._rows_of(json.loads(warm_up)) or []

    def _ask(self, data: Any) -> Any:
        """The model's own result."""
        with self._context():
            return self._scorer.model._predict_fn(data, **copy.deepcopy(self._keywords))

    def _predict(self, data: Any) -> Any:
        return self._scorer.jsonable(self._ask(data))

    def _numbers_behind(self) -> Any:
        """What gives the numbers behind a classifier's labels; None for a model that tells none."""
        found = loading.raw_model(self._scorer.model)
        numbers = getattr(found, "predict_proba", None) or getattr(found, "decision_function", None)
        return None if numbers is None else lambda data: self._scorer.jsonable(numbers(data))

    def _rows_of(self, document: Any) -> list[Any] | None:
        plan = self._plan
        form = form_of(document)
        if form is None or form not in plan.forms:
            return None
        found: list[Any] | None = plan.rows(form, document)
        return found if found is not None and plan.suits(found) else None

    def _part(self, place: int, document: Any) -> Part | None:
        """A JSON request as a part; None when MLflow must look at it."""
        found = self._rows_of(document)
        if found is None:
            return None
        named = self._plan.labels("dataframe_split", document) if "dataframe_split" in document else []
        if named is None or (named and not self.labels):
            return None
        return Part(place, found, named or None)

    def _answer_fast(self, requests: list[Request], answers: list[Answer | None]) -> None:
        together: list[Part] = []
        documents = iter(parsed([request.body for request in requests if request.content_type == JSON]))
        for index, request in enumerate(requests):
            if request.content_type == JSON:
                part = self._part(index, next(documents))
            else:
                part = parts.unpacked(index, request.content_type, request.body, self._plan)
            if part is not None:
                together.append(part)
        if self._csv is not None:
            tables = [(at, request.body) for at, request in enumerate(requests) if request.content_type == CSV]
            together += self._csv.parts(tables)
        for group in self._groups(together):
            if len(group) > 1 and self.merges:
                self._call(group, requests, answers)
            else:
                for part in group:
                    answers[part.place], _ = self._one(part, requests[part.place])

    def _groups(self, together: list[Part]) -> list[list[Part]]:
        """The parts of each model call: as many as were proven together, and apart what was not."""
        if not self.merges or len(together) < 2:
            return [[part] for part in together]
        groups: list[list[Part]] = []
        most_requests, room = self.watch.most_requests or len(together), 0
        last: list[Part] = []
        for part in together:
            size = len(part.rows)
            named = part.labels is not None and not self._merges_labels
            if named or size > self._most_rows or (not self._nulls and parts.has_null(part)):
                groups.append([part])
                continue
            if not last or size > room or len(last) >= most_requests:
                last, room = [], self._most_rows
                groups.append(last)
            last.append(part)
            room -= size
        return groups

    def _alone(self, request: Request) -> Answer:
        """One request through MLflow's own functions."""
        packed = parts.unpacked(0, request.content_type, request.body, self._plan)
        content_type = request.content_type if packed is None else JSON
        return self._scorer.score(content_type, self._text(request))

    def _text(self, request: Request) -> bytes:
        """A request as its caller may have sent it."""
        packed = parts.unpacked(0, request.content_type, request.body, self._plan)
        return request.body if packed is None else json.dumps(parts.document(packed, self._plan)).encode()

    def _one(self, part: Part, request: Request) -> tuple[Answer, Any]:
        """The answer to one request, for which the model is called once, and its result; None for a fault."""
        scorer = self._scorer
        try:
            data = parts.built([part], self._plan, self._libraries)
        except Exception as error:
            log.debug("a request is left to MLflow", exc_info=error)
            return self._alone(request), None
        try:
            predictions = self._ask(data)
        except BaseException as error:  # sys.exit in a model too
            fault = scorer.fault(error, self._text(request))
            return Answer(fault.status, fault.to_bytes()), None
        try:
            result = scorer.jsonable(predictions)
            answer = Answer(200, scorer.dump({"predictions": result}))
        except Exception as error:
            return scorer.unwritable(predictions, error), None
        if self._proof is not None and self._proof.open and not self.proving:
            self._proof.keep(part.rows)
        return answer, result

    def _call(self, group: list[Part], requests: list[Request], answers: list[Answer | None]) -> None:
        """One model call for several requests. Where it fails, or is found wrong, each is scored apart."""
        sizes = [len(part.rows) for part in group]
        begun = time.monotonic()
        try:
            data = parts.built(group, self._plan, self._libraries)
        except Exception as error:
            log.debug("a merged call cannot be made", exc_info=error)
            return  # to MLflow, one by one
        strange = self._strange(group, data)
        if strange:
            self._meet(strange, requests, answers)
            rest = [part for part in group if answers[part.place] is None]
            if len(rest) > 1:
                self._call(rest, requests, answers)
            else:
                self._apart(rest, requests, answers)
            return
        try:
            result = self._predict(data)
        except BaseException as error:
            log.debug("a merged call failed", exc_info=error)
            self._apart(group, requests, answers)
            if all((answer := answers[part.place]) is not None and answer.status == 200 for part in group):
                self._failed(error, sum(sizes))
            return
        seconds = time.monotonic() - begun
        if type(result) is not list or len(result) != sum(sizes):
            self._differs(group, requests, answers, "the result of a merged call was not one item a row")
            return
        nulls = self._nulls and any(parts.has_null(part) for part in group)
        chosen = self.watch.chosen(sizes, result, seconds, nulls=nulls)
        if not chosen or self._holds(chosen, group, requests, result, answers):
            self._write(sizes, group, result, answers)

    def _strange(self, group: list[Part], data: Any) -> list[Part]:
        """The requests with values of a kind that was not tried in company."""
        if self._proof is None:
            return []
        odd = self._proof.odd([part.rows for part in group], data)
        owners = [part for part in group for _ in part.rows] if odd else []
        return list({owners[at].place: owners[at] for at in odd}.values())

    def _meet(self, strange: list[Part], requests: list[Request], answers: list[Answer | None]) -> None:
        """Answers them apart; once the model has taken them, they are tried in company."""
        for part in strange:
            answers[part.place], result = self._one(part, requests[part.place])
            if self._proof is not None and type(result) is list and len(result) == len(part.rows):
                self._proof.meet(part.rows, result)

    def _write(self, sizes: list[int], group: list[Part], result: list[Any], answers: list[Answer | None]) -> None:
        texts = written(result, self._scorer.dump)
        start = 0
        for size, part in zip(sizes, group):
            end = start + size
            if answers[part.place] is None:
                if texts is None:
                    body = self._scorer.dump({"predictions": result[start:end]})
                else:
                    body = ('{"predictions": [' + ", ".join(texts[start:end]) + "]}").encode()
                answers[part.place] = Answer(200, body)
            start = end

    def _apart(self, group: list[Part], requests: list[Request], answers: list[Answer | None]) -> None:
        for part in group:
            if answers[part.place] is None:
                answers[part.place], _ = self._one(part, requests[part.place])

    def _holds(
        self,
        chosen: list[int],
        group: list[Part],
        requests: list[Request],
        result: list[Any],
        answers: list[Answer | None],
    ) -> bool:
        """Whether requests that are scored apart get what the merged call gave; if not, all of the call are."""
        begun = time.monotonic()
        starts = [0]
        for part in group:
            starts.append(starts[-1] + len(part.rows))
        alone: list[Any] = list(result)
        different = chance = False
        for at in chosen:
            part, request = group[at], requests[group[at].place]
            answers[part.place], once = self._one(part, request)
            if type(once) is not list or len(once) != len(part.rows):
                different = True
            else:
                alone[starts[at] : starts[at + 1]] = once
                if not close(once, result[starts[at] : starts[at + 1]]):
                    _, twice = self._one(part, request)
                    chance = chance or not close(once, twice)
        if not different and not chance and result != alone:
            whole = [row for part in group for row in part.rows]
            different = self._proof is None or self._proof.differs(whole, result, alone)
        self.watch.took(len(chosen), time.monotonic() - begun)
        self.checking_seconds += time.monotonic() - begun
        if different or chance:
            self._differs(
                group, requests, answers, CHANCE if chance else "a request's answer depended on other requests"
            )
        return not different and not chance

    def _differs(self, group: list[Part], requests: list[Request], answers: list[Answer | None], reason: str) -> None:
        self.watch.differed += 1
        self.end(reason)
        self._apart(group, requests, answers)

    def _failed(self, error: BaseException, rows: int) -> None:
        """A merged call raised, and none of its requests did."""
        if isinstance(error, MemoryError) or "OutOfMemory" in type(error).__name__:
            self._most_rows = max(1, rows // 2)
            return
        self.watch.differed += 1
        self.end(f"a merged call failed ({type(error).__name__}) where each of its requests was answered")
