"""Reconcile: one version, level-based. Read the world, decide, write the difference, report."""

import functools
import json
import logging
import zlib
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from headrace.autoscaler import pods, report, telemetry
from headrace.autoscaler.engine import Decision, Memory, Observation, Profile, decide, decode, encode, model
from headrace.autoscaler.fronts import Fronts
from headrace.autoscaler.journal import Journal
from headrace.autoscaler.kube import MANAGER, Cluster
from headrace.autoscaler.totals import Reading
from headrace.contract import names
from headrace.contract.apa import AutoscalerSpec
from headrace.contract.errors import InputError, TemporaryError
from headrace.machinery.api_server import Key, Missing, Object, named

log = logging.getLogger(__name__)

STATUS_SECONDS = 30.0
"""How often a status without news is refreshed: each version at a moment of its own, so that a thousand do not come
due together."""
WAKE_ANNOTATION = f"{names.API_GROUP}/wake"
"""Time of the last wake-up call that a replica without the lease took, for the leader to see."""


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
    refused: str = ""
    woken: str = ""
    """Wake annotation that was already acted on."""


@dataclass
class Reconciler:
    """Versions under control and what is remembered of them. Lives as long as its replica leads."""

    cluster: Cluster
    fronts: Fronts
    journal: Journal
    tell: Callable[[Callable[[], None]], None] = lambda job: job()
    """Who writes statuses and events: in the controller, a few threads. A thousand writes can take a minute, and no
    decision waits for them."""
    tracked: dict[Key, _Tracked] = field(default_factory=dict)
    fleets: pods.Fleets = field(init=False)

    def __post_init__(self) -> None:
        self.fleets = pods.Fleets(self.cluster.pods)

    def reconcile(self, item: Object, reading: Reading | None, now: float, *, owner: Key, wake: bool = False) -> None:
        """One look at one AutopilotPodAutoscaler. `owner` is the object that has the first claim on its Deployment.

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
        desired = deployment.replicas
        fleet = self.fleets.of(key).asked(desired)
        annotation = item["metadata"].get("annotations", {}).get(WAKE_ANNOTATION, "")
        wake = wake or (annotation != tracked.woken)
        tracked.woken = annotation
        observation = Observation(
            taken_at=reading.taken_at if reading is not None else now,
            load=reading.load if reading is not None else None,
            pods=fleet.counts,
            utilisation=reading.utilisation if reading is not None else model.Utilisation(),
            cold_start_seconds=fleet.cold_start_seconds,
            pod_cores=deployment.pod_cores,
            calls=reading.calls if reading is not None else None,
            default_limit=_default_limit(reading),
            wake=wake,
        )
        before = tracked.memory
        decision, tracked.memory = decide(spec, observation, before, now)
        self.journal.write(key, spec, observation, before, decision)
        self._act(item, spec, decision, fleet=fleet, reading=reading, desired=desired)
        self._tell(item, tracked, decision, fleet=fleet, now=now)

    def release(self, keep: Collection[Key] = ()) -> None:
        """Forgets versions that are gone; all of them when the lease is lost."""
        self.fleets.keep(keep)
        for key in set(self.tracked) - set(keep):
            del self.tracked[key]
            self.journal.forget(key)
            telemetry.forget(*key)

    def _track(self, key: Key, item: Object, now: float) -> _Tracked:
        tracked = self.tracked.get(key)
        if tracked is None:
            status = dict(item.get("status", {}))
            profile = self._profile(status)
            if profile is None:
                profile = self._predecessor(item)
            memory = Memory() if profile is None else replace(Memory(), profile=profile)
            annotation = item["metadata"].get("annotations", {}).get(WAKE_ANNOTATION, "")
            tracked = self.tracked[key] = _Tracked(
                memory=memory, status=status, written=status, round=_round(key, now), woken=annotation
            )
        return tracked

    def _profile(self, status: Mapping[str, Any]) -> Profile | None:
        try:
            return decode(Profile, status["profile"]) if status.get("profile") else None
        except (TypeError, ValueError) as error:  # written by another version of the controller
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

    def _admit(self, item: Object, owner: Key) -> tuple[AutoscalerSpec, pods.Deployment]:
        namespace, name = named(item)
        try:
            spec = AutoscalerSpec.from_json(item["spec"]).checked(f"{names.APA_KIND} {namespace}/{name}")
        except InputError as error:
            raise _Refusal("InvalidSpec", "; ".join(error.faults)) from error
        except (KeyError, TypeError, ValueError) as error:
            raise _Refusal("InvalidSpec", f"spec cannot be read: {error!r}") from error
        if owner != (namespace, name):
            raise _Refusal(
                "TargetConflict",
                f"Deployment {spec.target} is already scaled by {names.APA_KIND} {owner[1]}: delete one of the two",
            )
        for rival in self.cluster.rivals(namespace):
            target = rival["spec"]["scaleTargetRef"]
            if target["kind"] == "Deployment" and target["name"] == spec.target:
                raise _Refusal(
                    "HorizontalPodAutoscalerPresent",
                    f"Deployment {spec.target} is also scaled by HorizontalPodAutoscaler {rival['metadata']['name']}:"
                    " delete it, two owners of one number never agree",
                )
        deployment = self.cluster.deployment(namespace, spec.target)
        if deployment is None or deployment.leaving:
            raise _Refusal("TargetMissing", f"Deployment {spec.target} does not exist in namespace {namespace}")
        return spec, deployment

    def _act(
        self,
        item: Object,
        spec: AutoscalerSpec,
        decision: Decision,
        *,
        fleet: pods.Fleet,
        reading: Reading | None,
        desired: int,
    ) -> None:
        """Writes the difference between what is and what should be; both are asserted at every look."""
        key = named(item)
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
            log.info("%s", json.dumps({"key": "/".join(key), "from": desired, **encode(decision)}))
            self._event(
                item,
                "Normal",
                "Scaled",
                f"replicas {desired} -> {decision.replicas}: {cause.message}",
                now=decision.at,
            )
        if reading is not None and reading.limits - {decision.concurrency}:
            for address in fleet.ready.values():
                self.fronts.set_limit(address, decision.concurrency)

    def _tell(self, item: Object, tracked: _Tracked, decision: Decision, *, fleet: pods.Fleet, now: float) -> None:
        key = named(item)
        telemetry.replicas.labels(*key).set(decision.replicas)
        telemetry.concurrency.labels(*key).set(decision.concurrency)
        if "demand" in decision.inputs:
            telemetry.demand.labels(*key).set(decision.inputs["demand"])
        if fleet.cold_start_seconds is not None:
            telemetry.cold_start_seconds.labels(*key).set(fleet.cold_start_seconds)
        fault = next((reason for reason in decision.reasons if reason.code in model.FAULT_CODES), None)
        if fault is not None:
            telemetry.held.labels(*key, fault.code).inc()
            if fault.code != tracked.fault:
                self._event(item, "Warning", fault.code, f"last decision is held: {fault.message}", now=now)
        tracked.fault = fault.code if fault is not None else ""
        for reason in decision.reasons:
            if reason.code in (model.CONCURRENCY_UP, model.CONCURRENCY_DOWN, model.RELEARNING, model.CROWDED):
                telemetry.scalings.labels(*key, reason.code).inc()
                self._event(item, "Normal", reason.code, reason.message, now=now)
        generation = item["metadata"].get("generation", 0)
        status = report.active(decision, fleet, tracked.status, generation=generation)
        self._write(key, tracked, status, now)

    def _refuse(self, key: Key, item: Object, tracked: _Tracked, refusal: _Refusal, now: float) -> None:
        if tracked.refused != refusal.reason:
            tracked.refused = refusal.reason
            self._event(item, "Warning", refusal.reason, refusal.message, now=now)
        # Whoever scales it meanwhile is right: nothing of before holds when it comes back.
        tracked.memory = replace(Memory(), profile=tracked.memory.profile)
        generation = item["metadata"].get("generation", 0)
        status = report.refused(refusal.reason, refusal.message, tracked.status, now=now, generation=generation)
        self._write(key, tracked, status, now)

    def _write(self, key: Key, tracked: _Tracked, status: dict[str, Any], now: float) -> None:
        present = _round(key, now)
        if report.news(status, tracked.status) or present != tracked.round:
            tracked.status = {**tracked.status, **status, "profile": encode(tracked.memory.profile)}
            tracked.round = present
        if tracked.status is not tracked.written and not tracked.writing:
            tracked.writing = True
            self.tell(functools.partial(self._put, key, tracked))

    def _put(self, key: Key, tracked: _Tracked) -> None:
        status = tracked.status
        try:
            self.cluster.write_status(
                *key, {name: value for name, value in status.items() if value != tracked.written.get(name)}
            )
            tracked.written = status
        except Missing:
            tracked.written = status
        except TemporaryError as error:
            telemetry.api_failures.labels("status").inc()
            log.warning("status of %s/%s not written: %s", *key, error)
        finally:
            tracked.writing = False

    def _event(self, item: Object, kind: str, reason: str, message: str, *, now: float) -> None:
        key = named(item)
        moment = report.stamp(now)
        reference = {
            "apiVersion": f"{names.API_GROUP}/{names.API_VERSION}",
            "kind": names.APA_KIND,
            "namespace": key[0],
            "name": key[1],
            "uid": item["metadata"].get("uid", ""),
        }
        event = {
            "metadata": {"generateName": f"{key[1]}.", "namespace": key[0]},
            "involvedObject": reference,
            "type": kind,
            "reason": reason,
            "message": message[:1024],
            "source": {"component": MANAGER},
            "firstTimestamp": moment,
            "lastTimestamp": moment,
            "count": 1,
        }
        self.tell(functools.partial(self._record, key, event))

    def _record(self, key: Key, event: Object) -> None:
        try:
            self.cluster.record_event(key[0], event)
        except TemporaryError as error:
            telemetry.api_failures.labels("event").inc()
            log.debug("event on %s/%s not recorded: %s", *key, error)


def _default_limit(reading: Reading | None) -> int | None:
    """The limit that the runtime chose; of fronts that do not tell, the highest in force."""
    if reading is None or (reading.default_limit is None and not reading.limits):
        return None
    return reading.default_limit if reading.default_limit is not None else max(1, *reading.limits)


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
