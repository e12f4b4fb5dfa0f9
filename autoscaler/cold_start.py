"""ColdStart: what a version's last start was made of, phase by phase.

```
first request ─decide─► order ─schedule─► node ─pull─► container ─load─► model ─warm_up─► Ready
```

Kubernetes tells of its own part to the second; the front of the pod measures what it does itself, and what is left of
the pod's time until Ready is the probe's.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import urllib3

from headrace.autoscaler import telemetry
from headrace.autoscaler.exposition import Sample, parse
from headrace.autoscaler.fleet import Pod, bracketed
from headrace.contract import metrics, names

ASK_SECONDS = 2.0
_LOADING = ("front", "import", "load")
_WARMING = ("warm", "prove", "tell")
"""Phases of `metrics.FRONT_START_SECONDS` that are told as one."""
PHASES = ("decide", "schedule", "pull", "load", "warm_up")


@dataclass(frozen=True, kw_only=True, slots=True)
class ColdStart:
    """Seconds of each phase; None: nobody told."""

    pod: str
    seconds: float
    """From the pod's creation, or from the first request that waited for it, to Ready."""
    decide: float | None
    schedule: float | None
    pull: float | None
    load: float | None
    warm_up: float | None

    def to_json(self, *, time: str) -> dict[str, object]:
        """The object's field `coldStart`; `time` is RFC 3339 text."""
        named = {
            "decideSeconds": self.decide,
            "scheduleSeconds": self.schedule,
            "pullSeconds": self.pull,
            "loadSeconds": self.load,
            "warmUpSeconds": self.warm_up,
        }
        known = {name: round(value, 2) for name, value in named.items() if value is not None}
        return {"time": time, "pod": self.pod, "seconds": round(self.seconds, 2), **known}

    def observe(self) -> None:
        """Counts each phase in the metrics."""
        for phase in PHASES:
            seconds = getattr(self, phase)
            if seconds is not None:
                telemetry.start_phase_seconds.labels(phase).observe(seconds)


def of_pod(pod: Pod, told: Mapping[str, float], *, decide: float | None) -> ColdStart:
    """`told`: the front's own phases, by name; `decide`: from the first request that waited to the order."""

    def total(phases: Iterable[str]) -> float | None:
        known = [told[phase] for phase in phases if phase in told]
        return sum(known) if known else None

    start = pod.start_seconds if pod.start_seconds is not None else 0.0
    return ColdStart(
        pod=pod.name,
        seconds=start + (decide or 0.0),
        decide=decide,
        schedule=pod.scheduled_seconds,
        pull=pod.pulled_seconds,
        load=total(_LOADING),
        warm_up=total(_WARMING),
    )


class StartPhases:
    """Asks pods for the phases of their start."""

    def __init__(self, port: int = names.FRONT_ADMIN_PORT) -> None:
        self._http = urllib3.PoolManager(num_pools=4, maxsize=1, retries=False)
        self._port = port

    def __call__(self, address: str) -> Mapping[str, float]:
        """By the front's names; empty where it does not tell."""
        url = f"http://{bracketed(address)}:{self._port}{metrics.METRICS_PATH}"
        try:
            page = self._http.request("GET", url, timeout=ASK_SECONDS).data.decode(errors="replace")
        except urllib3.exceptions.HTTPError:
            telemetry.scrape_failures.labels("pod").inc()
            return {}
        return phases_of(parse(page, instance=address, wanted=(metrics.FRONT_START_SECONDS,)))


def phases_of(samples: Iterable[Sample]) -> dict[str, float]:
    """Seconds by phase."""
    return {sample.labels.get("phase", ""): sample.value for sample in samples if sample.value >= 0}
