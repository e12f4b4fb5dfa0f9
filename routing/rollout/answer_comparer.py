"""AnswerComparer: asks the new version what callers have asked the version that serves, and compares the answers.

Callers wait for none of it. A pod of the version that serves is asked for requests that it has just answered, which it
keeps only while it is asked; the new version is asked them at its own address, through the load balancer. That works
for any share, and needs neither copies of requests in a proxy, which throws the copies' answers away, nor two halves of
an answer to be joined.
"""

import json
import logging
import threading
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import urllib3

from headrace.contract import names
from headrace.contract.answer_samples import ANSWERS_PATH, SCORING_PATH, AnswerSample
from headrace.contract.codec import read
from headrace.contract.shadow import DIFFERENCES_KEPT, DifferingPrediction
from headrace.routing.rollout import telemetry
from headrace.routing.rollout.answer_comparison import compared, differences
from headrace.routing.rollout.engine import Compared
from headrace.routing.rollout.rollout_status import stamp

log = logging.getLogger(__name__)

SECONDS: Final = 10.0
"""Longest wait for one answer."""
LARGEST_BYTES: Final = 2 * 1024 * 1024
"""Of what a pod tells."""
PERIOD_SECONDS: Final = 2.0
PREDICTION_CHARACTERS: Final = 100
"""Of a prediction that differs, as it is kept for people."""


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Two versions of an endpoint that are to be compared."""

    endpoint: str
    new: str
    hosts: tuple[str, ...]
    """Of pods of the version that serves."""


@dataclass
class AnswerComparer:
    """Totals of what was compared; a thread of its own does the work between `start` and `stop`."""

    balancer: str = f"{names.LOAD_BALANCER}.{names.SYSTEM_NAMESPACE}.svc:{names.LOAD_BALANCER_PORT}"
    """Host and port."""
    admin_port: int = names.FRONT_ADMIN_PORT
    wall: Callable[[], float] = time.time
    _totals: dict[tuple[str, str], Compared] = field(default_factory=dict)
    _differing: dict[tuple[str, str], list[DifferingPrediction]] = field(default_factory=dict)
    """The last ones that were not taken yet."""
    _wanted: tuple[Pair, ...] = ()
    _turn: int = 0

    def __post_init__(self) -> None:
        self._http = urllib3.PoolManager(num_pools=64, maxsize=1, retries=False)
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="answer comparer", daemon=True)

    def want(self, pairs: Collection[Pair]) -> None:
        """From now on these are compared, and no others. Totals of others are forgotten."""
        self._wanted = tuple(pairs)
        known = {(pair.endpoint, pair.new) for pair in pairs}
        with self._lock:
            self._totals = {key: total for key, total in self._totals.items() if key in known}
            self._differing = {key: found for key, found in self._differing.items() if key in known}

    def total(self, endpoint: str, new: str) -> Compared:
        """What was compared so far."""
        return self._totals.get((endpoint, new), Compared())

    def taken(self, endpoint: str, new: str) -> tuple[Compared, list[DifferingPrediction]]:
        """What was compared since this was last asked, and the last of what differed."""
        key = endpoint, new
        with self._lock:
            return self._totals.pop(key, Compared()), self._differing.pop(key, [])

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Asks the thread to end after its present wait."""
        self._stop.set()

    def _run(self) -> None:
        while not self._stop.wait(PERIOD_SECONDS):
            self.look()

    def look(self) -> None:
        """Compares once, for each pair."""
        self._turn += 1
        told: dict[str, list[AnswerSample]] = {}  # by host: a pod tells each answer once, and several may be beside it
        for pair in self._wanted:
            if pair.hosts and not self._stop.is_set():
                host = pair.hosts[self._turn % len(pair.hosts)]
                if host not in told:
                    told[host] = self._samples(host)
                for sample in told[host]:
                    self._compare(pair, sample)

    def _samples(self, host: str) -> list[AnswerSample]:
        address = f"[{host}]" if ":" in host else host
        try:
            url = f"http://{address}:{self.admin_port}{ANSWERS_PATH}"
            answer = self._http.request("GET", url, timeout=SECONDS, preload_content=False)
            try:
                text = answer.read(LARGEST_BYTES + 1)
            finally:
                answer.release_conn()
            told: Any = json.loads(text) if answer.status == 200 and len(text) <= LARGEST_BYTES else ()
        except (urllib3.exceptions.HTTPError, ValueError, RecursionError) as error:
            log.debug("pod %s tells no answers: %s", host, error)
            return []
        found = [read(AnswerSample, sample)[0] for sample in told] if isinstance(told, list) else []
        return [sample for sample in found if sample is not None]

    def _compare(self, pair: Pair, sample: AnswerSample) -> None:
        url = f"http://{self.balancer}/served-models/{pair.new}{SCORING_PATH}"
        headers: Mapping[str, str] = {"host": pair.endpoint, "content-type": sample.content_type}
        try:
            answer = self._http.request("POST", url, body=sample.body.encode(), headers=headers, timeout=SECONDS)
        except urllib3.exceptions.HTTPError as error:
            log.debug("version %s of %s was not asked: %s", pair.new, pair.endpoint, error)
            return
        if answer.status != 200:
            return  # the balancers' counters have it: that is another gate's
        told = answer.data.decode(errors="replace")
        answers, changed = compared(sample.answer, told)
        now = stamp(self.wall())
        differing = [
            DifferingPrediction(time=now, row=row, serving=_short(old), shadow=_short(new))
            for row, old, new in differences(sample.answer, told)[:DIFFERENCES_KEPT]
        ]
        key = pair.endpoint, pair.new
        with self._lock:
            before = self._totals.get(key, Compared())
            self._totals[key] = Compared(answers=before.answers + answers, changed=before.changed + changed)
            self._differing[key] = [*self._differing.get(key, []), *differing][-DIFFERENCES_KEPT:]
        telemetry.compared.labels(*key, "alike").inc(answers - changed)
        telemetry.compared.labels(*key, "changed").inc(changed)


def _short(prediction: Any) -> str:
    text = json.dumps(prediction)
    return text if len(text) <= PREDICTION_CHARACTERS else text[: PREDICTION_CHARACTERS - 1] + "…"
