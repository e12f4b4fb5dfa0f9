"""Reconcile: one version, level-based. Read the world, decide, write the difference, report."""

import contextlib
import functools
import logging
import zlib
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from headrace.autoscaler import status as reported
from headrace.autoscaler import telemetry
from headrace.autoscaler.cluster import MANAGER, Cluster
from headrace.autoscaler.cold_start import of_pod
from headrace.autoscaler.counter_aggregation import Reading
from headrace.autoscaler.engine import Decision, Learned, Memory, Observation, Profile, decide, decode, encode, reasons
from headrace.autoscaler.fleet import Deployment, Fleet, Fleets
from headrace.autoscaler.fronts import Fronts
from headrace.autoscaler.held_requests import NOTHING_HELD, Held
from headrace.autoscaler.journal import Journal
from headrace.contract import names
from headrace.contract.apa import AutoscalerSpec
from headrace.contract.errors import InputError, TemporaryError
from headrace.kube.api_server import Key, Missing, Object, named

log = logging.getLogger(__name__)

FRESH_SECONDS = 120.0
"""A start that ended longer ago was another controller's to count."""
STATUS_SECONDS = 30.0
"""How often a status without news is refreshed: each version at a moment of its own, so that a thousand do not come
due together."""


@dataclass(frozen=True)
class _Refusal(Exception):
    """A version that must be left alone."""

    reason: str
    message: str


@dataclass
class _Tracked:
    """What is kept of one version between looks."""

    memory: Memory
    status: dict[str, Any]
    """Status as it should be."""
    written: dict[str, Any]
    """Status as the API server has it."""
    round: int
    """Of the refreshes of the status, the one that was last made."""
    writing: bool = False
    fault: str = ""
    """Code of the fault that was last told in an event."""
    woken_after: float | None = None
    """Seconds from the first request that waited to the order, where the last start was for requests that waited."""
    started: str = ""
    """Pod whose start was last told of."""
    cold_start: Mapping[str, Any] | None = None
    """The status' line of it."""
    refused: str = ""
    price: tuple[float | None, str] = (None, "")
    """Of a pod, and its currency, as telemetry tells them."""


@dataclass
class Reconciler:
    """Versions under control and what is remembered of them. Lives as long as its replica leads."""

    cluster: Cluster
    fronts: Fronts
    journal: Journal
    submit: Callable[[Callable[[], None]], None] = lambda job: job()
    """Runs what writes a status or an event: in the controller, on a few threads. A thousand writes can take a minute,
    and no decision waits for them."""
    start_phases: Callable[[str], Mapping[str, float]] | None = None
    """Asks the front at an address for the phases of its start, by `submit`; None: no front is asked."""
    tracked: dict[Key, _Tracked] = field(default_factory=dict)
    fleets: Fleets = field(init=False)

    def __post_init__(self) -> None:
        self.fleets = Fleets(self.cluster.pods)

    def reconcile(
        self, item: Object, reading: Reading | None, now: float, *, owner: Key, held: Held = NOTHING_HELD
    ) -> None:
        """One look at one AutopilotPodAutoscaler. `owner` is the object that has the first claim on its Deployment;
        `held` is what waits for a first pod.

        Writes that fail are tried again at the next look, since the decision is remembered and the world re-read.
        """
        key = named(item)
        tracked = self._track(key, item, now)
        try:
            spec, deployment = self._admit(item, owner)
        except _Refusal as refusal:
            self._refuse(key, item, tracked, refusal, now)
            return
        tracked.refused = ""
        fleet = self.fleets.of(key).asked(deployment.replicas)
        reading = reading if reading is not None else Reading(taken_at=now, load=None)
        load = reading.load
        observation = Observation(
            taken_at=reading.taken_at,
            load=load if load is None else replace(load, queued=load.queued + held.requests),
            pods=fleet.counts,
            utilisation=reading.utilisation,
            cold_start_seconds=_start_seconds(fleet, tracked),
            pod_cores=deployment.pod_cores,
            calls=reading.calls,
            default_limit=_default_limit(reading),
            held=held.requests,
        )
        before = tracked.memory
        decision, tracked.memory = decide(spec, observation, before, now)
        self.journal.write(key, spec, observation, before, decision)
        if decision.replicas > 0 and fleet.counts.desired == 0:
            tracked.woken_after = held.seconds if held.requests > 0 else None
        self._act(item, spec, decision, fleet=fleet, reading=reading)
        self._note_start(tracked, fleet, now)
        self._note_price(key, tracked, spec)
        self._report(item, tracked, decision, fleet=fleet, now=now)

    def release(self, keep: Collection[Key] = ()) -> None:
        """Forgets versions that are gone; all of them when the lease is lost."""
        self.fleets.keep(keep)
        for key in set(self.tracked) - set(keep):
            del self.tracked[key]
            self.journal.forget(key)
            telemetry.forget(*key)

    def _track(self, key: Key, item: Object, now: float) -> _Tracked:
        if key not in self.tracked:
            status = dict(item.get("status", {}))
            profile = self._profile(status)
            if profile is None:
                profile = self._predecessor(item)
            memory = Memory() if profile is None else Memory(learned=Learned(profile=profile))
            self.tracked[key] = _Tracked(memory=memory, status=status, written=status, round=_round(key, now))
        return self.tracked[key]

    def _profile(self, status: Mapping[str, Any]) -> Profile | None:
        try:
            return decode(Profile, status["profile"]) if status.get("profile") else None
        except InputError as error:  # written by another version of the controller
            log.info("a stored profile is not used: %s", error)
            return None

    def _predecessor(self, item: Object) -> Profile | None:
        """What was learned of the version that the spec names; else of the newest other version of the endpoint."""
        namespace, own = named(item)
        name = item["spec"].get("predecessor")
        others = [
            other
            for other in self.cluster.autoscalers()
            if other["metadata"]["namespace"] == namespace
            and (other["metadata"]["name"] == name if name else other["metadata"]["name"] != own)
        ]
        others.sort(key=lambda other: other["metadata"].get("creationTimestamp", ""), reverse=True)
        profiles = (self._profile(other.get("status", {})) for other in others)
        return next((profile for profile in profiles if profile is not None), None)

    def _admit(self, item: Object, owner: Key) -> tuple[AutoscalerSpec, Deployment]:
        namespace, name = named(item)
        try:
            spec = AutoscalerSpec.from_json(item["spec"])
        except InputError as error:
            raise _Refusal("InvalidSpec", "; ".join(error.faults)) from error
        if owner != (namespace, name):
            other = f"{names.APA_KIND} {owner[1]}"
            message = f"Deployment {spec.target} is already scaled by {other}: delete one of the two"
            raise _Refusal("TargetConflict", message)
        for rival in self.cluster.rivals(namespace):
            target = rival["spec"]["scaleTargetRef"]
            if target["kind"] == "Deployment" and target["name"] == spec.target:
                other = f"HorizontalPodAutoscaler {rival['metadata']['name']}"
                remedy = "delete it, two owners of one number never agree"
                message = f"Deployment {spec.target} is also scaled by {other}: {remedy}"
                raise _Refusal("HorizontalPodAutoscalerPresent", message)
        deployment = self.cluster.deployment(namespace, spec.target)
        if deployment is None or deployment.leaving:
            raise _Refusal("TargetMissing", f"Deployment {spec.target} does not exist in namespace {namespace}")
        return spec, deployment

    def _act(self, item: Object, spec: AutoscalerSpec, decision: Decision, *, fleet: Fleet, reading: Reading) -> None:
        """Writes the difference between what is and what should be; both are asserted at every look."""
        key, desired = named(item), fleet.counts.desired
        if decision.replicas != desired:
            try:
                self.cluster.scale(key[0], spec.target, decision.replicas)
            except Missing:
                return
            except TemporaryError as error:
                telemetry.api_failures.labels("scale").inc()
                log.warning("%s/%s not scaled to %d: %s", *key, decision.replicas, error)
                return
            cause = decision.reasons[0]
            telemetry.scalings.labels(*key, cause.code).inc()
            message = f"replicas {desired} -> {decision.replicas}: {cause.message}"
            log.info("%s/%s: %s", *key, message, extra={"fields": {"decision": encode(decision)}})
            self._event(item, "Normal", "Scaled", message, now=decision.at)
        if reading.limits - {decision.concurrency}:
            for address in fleet.ready.values():
                self.fronts.set_limit(address, decision.concurrency)

    def _report(self, item: Object, tracked: _Tracked, decision: Decision, *, fleet: Fleet, now: float) -> None:
        key = named(item)
        telemetry.replicas.labels(*key).set(decision.replicas)
        telemetry.placed_pods.labels(*key).set(fleet.counts.ready + fleet.counts.starting + fleet.counts.failing)
        telemetry.concurrency.labels(*key).set(decision.concurrency)
        if "demand" in decision.inputs:
            telemetry.demand.labels(*key).set(decision.inputs["demand"])
        if fleet.cold_start_seconds is not None:
            telemetry.cold_start_seconds.labels(*key).set(fleet.cold_start_seconds)
        fault = decision.first(*reasons.FAULT_CODES)
        if fault is not None:
            telemetry.held.labels(*key, fault.code).inc()
            if fault.code != tracked.fault:
                self._event(item, "Warning", fault.code, f"last decision is held: {fault.message}", now=now)
        tracked.fault = fault.code if fault is not None else ""
        for reason in decision.reasons:
            if reason.code in (reasons.CONCURRENCY_UP, reasons.CONCURRENCY_DOWN, reasons.RELEARNING, reasons.CROWDED):
                telemetry.scalings.labels(*key, reason.code).inc()
                self._event(item, "Normal", reason.code, reason.message, now=now)
        generation = item["metadata"].get("generation", 0)
        status = reported.active(decision, fleet, tracked.status, generation=generation)
        if tracked.cold_start is not None:
            status["coldStart"] = tracked.cold_start
        self._write(key, tracked, status, now)

    def _note_start(self, tracked: _Tracked, fleet: Fleet, now: float) -> None:
        """Tells of the newest start once, with what its front says; asking it waits for no decision."""
        pod = fleet.newest
        if pod is None or pod.name == tracked.started:
            return
        tracked.started = pod.name
        decide, tracked.woken_after = tracked.woken_after, None
        fresh = now - pod.ready_at < FRESH_SECONDS

        def note() -> None:
            told = {} if self.start_phases is None else self.start_phases(pod.address)
            found = of_pod(pod, told, decide=decide)
            tracked.cold_start = found.to_json(time=reported.stamp(pod.ready_at))
            if fresh:
                found.observe()

        if fresh or not tracked.status.get("coldStart"):
            (note if self.start_phases is None else functools.partial(self.submit, note))()

    def _note_price(self, key: Key, tracked: _Tracked, spec: AutoscalerSpec) -> None:
        """Tells of another price only: series are searched for the one that goes."""
        price = (spec.pod_cost_per_hour, spec.currency or "")
        if price != tracked.price:
            tracked.price = price
            telemetry.tell_price(*key, *price)

    def _refuse(self, key: Key, item: Object, tracked: _Tracked, refusal: _Refusal, now: float) -> None:
        if tracked.refused != refusal.reason:
            tracked.refused = refusal.reason
            telemetry.forget(*key)  # what was told of it last is not true any more
            tracked.price = (None, "")
            self._event(item, "Warning", refusal.reason, refusal.message, now=now)
        # Whoever scales it meanwhile is right: nothing of before holds when it comes back.
        tracked.memory = Memory(learned=Learned(profile=tracked.memory.learned.profile))
        generation = item["metadata"].get("generation", 0)
        status = reported.refused(refusal.reason, refusal.message, tracked.status, now=now, generation=generation)
        self._write(key, tracked, status, now)

    def _write(self, key: Key, tracked: _Tracked, status: dict[str, Any], now: float) -> None:
        present = _round(key, now)
        if reported.news(status, tracked.status) or present != tracked.round:
            tracked.status = {**tracked.status, **status, "profile": encode(tracked.memory.learned.profile)}
            tracked.round = present
        if tracked.status is not tracked.written and not tracked.writing:
            tracked.writing = True
            self.submit(functools.partial(self._put, key, tracked))

    def _put(self, key: Key, tracked: _Tracked) -> None:
        status, written = tracked.status, tracked.written
        try:
            with contextlib.suppress(Missing):
                self.cluster.write_status(
                    *key, {name: value for name, value in status.items() if value != written.get(name)}
                )
            tracked.written = status
        except TemporaryError as error:
            telemetry.api_failures.labels("status").inc()
            log.warning("status of %s/%s not written: %s", *key, error)
        finally:
            tracked.writing = False

    def _event(self, item: Object, kind: str, reason: str, message: str, *, now: float) -> None:
        key = named(item)
        (namespace, name), moment = key, reported.stamp(now)
        event = {
            "metadata": {"generateName": f"{name}.", "namespace": namespace},
            "involvedObject": {
                "apiVersion": f"{names.API_GROUP}/{names.API_VERSION}",
                "kind": names.APA_KIND,
                "namespace": namespace,
                "name": name,
                "uid": item["metadata"].get("uid", ""),
            },
            "type": kind,
            "reason": reason,
            "message": message[:1024],
            "source": {"component": MANAGER},
            "firstTimestamp": moment,
            "lastTimestamp": moment,
            "count": 1,
        }
        self.submit(functools.partial(self._record, key, event))

    def _record(self, key: Key, event: Object) -> None:
        try:
            self.cluster.record_event(key[0], event)
        except TemporaryError as error:
            telemetry.api_failures.labels("event").inc()
            log.debug("event on %s/%s not recorded: %s", *key, error)


def _start_seconds(fleet: Fleet, tracked: _Tracked) -> float | None:
    """From creation to Ready: of the pods there are, else, of a version that sleeps, of the last one."""
    if fleet.cold_start_seconds is not None:
        return fleet.cold_start_seconds
    seconds = (tracked.status.get("coldStart") or {}).get("seconds")
    return None if seconds is None else float(seconds)


def _default_limit(reading: Reading) -> int | None:
    """The limit that the runtime chose; of fronts that do not tell, the highest in force; None: not known."""
    if reading.default_limit is not None:
        return reading.default_limit
    return max(1, *reading.limits) if reading.limits else None


def _round(key: Key, now: float) -> int:
    """Number of the refresh of this version's status that is due."""
    phase = zlib.crc32("/".join(key).encode()) / 2**32
    return int(now / STATUS_SECONDS + phase)


def owners(items: Iterable[Object]) -> dict[Key, Key]:
    """For each object, the oldest object with the same target: the one that may scale it."""
    first: dict[Key, Key] = {}
    result: dict[Key, Key] = {}
    for item in sorted(items, key=lambda each: (each["metadata"].get("creationTimestamp", ""), named(each))):
        namespace, name = named(item)
        target = item["spec"].get("targetRef", {}).get("name", "")
        result[namespace, name] = first.setdefault((namespace, target), (namespace, name))
    return result
