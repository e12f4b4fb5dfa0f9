"""Reconcile: one endpoint, level-based. Read the world, decide, write the difference."""

import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Final

from headrace.contract.codec import decode, encode, read
from headrace.contract.declaration import Style
from headrace.contract.errors import InputError, TemporaryError
from headrace.contract.rollout import Phase, RolloutStatus, asked
from headrace.kube.api_server import Key, Missing, Object, named
from headrace.routing.rollout import rollout_status as reported
from headrace.routing.rollout import telemetry
from headrace.routing.rollout.balancer_counters import Counts
from headrace.routing.rollout.engine import NOTHING_COMPARED, Compared, Decision, Memory, Observation, decide
from headrace.routing.rollout.journal import Journal
from headrace.routing.rollout.rollout_cluster import Cluster
from headrace.routing.snapshot.rollout_split import version_before
from headrace.routing.snapshot.world import Endpoint

log = logging.getLogger(__name__)

REFRESH_SECONDS: Final = 10.0
"""How often a status is written without news."""


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What is seen of one endpoint besides its object."""

    ready: Mapping[str, int]
    """Ready pods by version."""
    created: Mapping[str, str]
    """When each version's Service came, RFC 3339."""
    counts: Counts | None
    """None: not known, or not asked because nothing is under way."""
    compared: Compared = NOTHING_COMPARED


@dataclass
class _Tracked:
    """What is kept of one rollout between looks."""

    version: str
    former: str
    memory: Memory
    said: RolloutStatus | None
    """As the object has it."""
    written_at: float = 0.0


@dataclass
class Reconciler:
    """Rollouts under control and what is remembered of them. Lives as long as its replica leads."""

    cluster: Cluster
    journal: Journal
    _tracked: dict[Key, _Tracked] = field(default_factory=dict)

    def reconcile(self, item: Object, endpoint: Endpoint, seen: Seen, now: float) -> None:
        """One look at one endpoint whose spec asks for a rollout. What cannot be written is written at the next."""
        spec = endpoint.spec.rollout
        assert spec is not None  # the loop passes no other
        key, (new,) = named(item), endpoint.weighted
        tracked = self._track(key, item, endpoint, new.name, seen)
        versions = {} if seen.counts is None else seen.counts.versions
        observation = Observation(
            taken_at=now,
            new_ready=seen.ready.get(new.name, 0),
            former_ready=seen.ready.get(tracked.former, 0),
            new=versions.get(new.name),
            former=versions.get(tracked.former),
            bounds_milliseconds=() if seen.counts is None else seen.counts.bounds_milliseconds,
            compared=seen.compared,
            asked=asked(item["metadata"].get("annotations") or {}, new.name),
        )
        before = tracked.memory
        decision, tracked.memory = decide(spec, observation, before, now)
        if not before.phase.is_final:
            self.journal.write(key, spec, observation, before, decision)
        self._tell(key, tracked, decision, before)
        said = reported.rollout_status(decision, tracked.memory, tracked.said, version=new.name, former=tracked.former)
        due = not decision.phase.is_final and now - tracked.written_at >= REFRESH_SECONDS
        if reported.news(said, tracked.said) or due:
            self._write(key, tracked, said, now)

    def is_under_way(self, item: Object, endpoint: Endpoint) -> bool:
        """Whether counters are of use for the endpoint's next look."""
        tracked, (new,) = self._tracked.get(named(item)), endpoint.weighted
        return tracked is None or tracked.version != new.name or not tracked.memory.phase.is_final

    def versions_compared(self, item: Object, endpoint: Endpoint) -> tuple[str, str] | None:
        """The new version and the one before, where their predictions are to be compared now."""
        tracked, spec = self._tracked.get(named(item)), endpoint.spec.rollout
        if tracked is None or spec is None or spec.changed_percent is None or not tracked.former:
            return None
        under_way = tracked.memory.phase in (Phase.PROGRESSING, Phase.PAUSED)
        return (tracked.version, tracked.former) if under_way else None

    def release(self, keep: Collection[Key] = ()) -> None:
        """Forgets endpoints that are gone; all of them when the lease is lost."""
        for key in set(self._tracked) - set(keep):
            _forget(key, self._tracked.pop(key))

    def _track(self, key: Key, item: Object, endpoint: Endpoint, version: str, seen: Seen) -> _Tracked:
        tracked = self._tracked.get(key)
        if tracked is not None and tracked.version == version:
            return tracked
        if tracked is not None:
            _forget(key, tracked)
        said = tracked.said if tracked is not None else _said(item)
        if said is not None and said.version == version:
            found = _Tracked(version=version, former=said.former, memory=_remembered(said), said=said)
        else:
            serving = "" if said is None else said.serving
            former = version_before(endpoint, serving, seen.ready, seen.created)
            # Back to what serves: there is nothing to roll out.
            memory = Memory(phase=Phase.COMPLETED) if serving == version else Memory()
            found = _Tracked(version=version, former="" if serving == version else former, memory=memory, said=said)
        self._tracked[key] = found
        return found

    def _tell(self, key: Key, tracked: _Tracked, decision: Decision, before: Memory) -> None:
        endpoint, phase, reason = key[1], decision.phase, decision.reasons[0]
        if not phase.is_final:
            telemetry.weight.labels(endpoint, tracked.version).set(decision.weight)
        elif not before.phase.is_final:
            telemetry.ended.labels(phase, reason.code).inc()
            telemetry.weight.remove_by_labels({"endpoint": endpoint})
        if before.phase is not phase or before.step != tracked.memory.step:
            what = f"{tracked.version} after {tracked.former}" if tracked.former else tracked.version
            log.info("%s: %s: %s, %d %%: %s: %s", endpoint, what, phase, decision.weight, reason.code, reason.message)

    def _write(self, key: Key, tracked: _Tracked, said: RolloutStatus, now: float) -> None:
        try:
            self.cluster.write_rollout(key, encode(said, Style.KUBERNETES))
            tracked.said, tracked.written_at = said, now
        except Missing:
            return
        except TemporaryError as error:
            telemetry.write_failures.inc()
            log.warning("rollout of %s/%s not written: %s", *key, error)


def _said(item: Object) -> RolloutStatus | None:
    told = (item.get("status") or {}).get("rollout")
    if not told:
        return None
    found, faults = read(RolloutStatus, told, Style.KUBERNETES)
    if faults:
        log.warning(
            "%s/%s: a stored rollout is read as far as it can be: %s", *named(item), "; ".join(map(str, faults))
        )
    return found


def _remembered(said: RolloutStatus) -> Memory:
    try:
        return decode(Memory, said.memory)
    except InputError as error:  # written by another version of the controller: the share stays, evidence begins anew
        log.info("a stored memory is not used: %s", error)
        return Memory(phase=said.phase if said.phase.is_final else Phase.WAITING)


def _forget(key: Key, tracked: _Tracked) -> None:
    telemetry.weight.remove_by_labels({"endpoint": key[1], "version": tracked.version})
