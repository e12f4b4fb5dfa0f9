"""The policies under test behind one door: `observe(stats) -> Wanted`, called once a virtual second.

Apa is the shipped engine, the object the controller calls. Kpa, Hpa, Keda and Ray ask the peers' own code, which runs
in a process beside (peers/). Literal is the published rule read literally. Bounds are applied to all alike by the run.
"""

import json
import math
import os
import subprocess
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from headrace.autoscaler.engine import (
    CallCurve,
    History,
    LoadCounters,
    Memory,
    Observation,
    PodCounts,
    Utilisation,
    decide,
)
from headrace.contract.apa import AutoscalerSpec


@dataclass(frozen=True, kw_only=True, slots=True)
class Stats:
    """What a policy may see after each second. Counters run since the start."""

    now: float
    desired: int
    ready: int
    starting: int
    arrived: float
    completed: float
    executing_seconds: float
    queued_seconds: float
    queued: int
    executing: int
    current_requests: float
    """Mean of executing + queued over the last second: what the peers scale on."""
    cpu: float
    memory: float
    gpu_memory: float | None
    tensor: float
    cold_start_seconds: float | None
    """None: no start has been seen yet."""
    unschedulable: int = 0
    """Ordered, and no node has room."""
    calls: CallCurve | None = None
    """What a model call costs, as a front measures it; None: not told."""
    default_limit: int | None = None
    """Concurrency limit that the pods chose by themselves; None: not told."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Setting:
    """What a cell gives to every policy alike."""

    concurrency: int
    """Hard limit per pod."""
    target: float
    """Soft target per pod: seven tenths of it."""
    initial: int
    """Pods at the start."""
    min_replicas: int
    max_replicas: int
    cores: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """A policy's answer; None: no change. Replicas are taken before the run's bounds."""

    replicas: int | None = None
    concurrency: int | None = None


NOTHING = Wanted()


class Policy(Protocol):
    """One run of one policy."""

    def observe(self, stats: Stats) -> Wanted:
        """The answer to one second."""

    def close(self) -> None:
        """Ends what the policy started."""


class Apa:
    """The shipped engine. `vertical` off: the cell's concurrency is fixed, as it is for every peer. `seen`: it saw the
    counters before the load began, so that the first second tells a rate."""

    def __init__(
        self, setting: Setting, *, vertical: bool = False, first: int | None = None, seen: bool = False
    ) -> None:
        self.spec = AutoscalerSpec(
            target="version",
            min_replicas=setting.min_replicas,
            max_replicas=setting.max_replicas,
            min_concurrency=1 if vertical else setting.concurrency,
            max_concurrency=1024 if vertical else setting.concurrency,
            initial_concurrency=first if vertical else setting.concurrency,
        )
        self.cores = setting.cores
        self.memory = Memory()
        self.epoch = 1_700_000_000.0
        if seen:
            nothing = LoadCounters(arrived=0, completed=0, executing_seconds=0, queued_seconds=0)
            self.memory = Memory(history=History(counters=nothing, taken_at=self.epoch, begun_at=self.epoch))

    def observe(self, stats: Stats) -> Wanted:
        now = self.epoch + stats.now
        decision, self.memory = decide(
            self.spec,
            Observation(
                taken_at=now,
                load=LoadCounters(
                    arrived=stats.arrived,
                    completed=stats.completed,
                    executing_seconds=stats.executing_seconds,
                    queued_seconds=stats.queued_seconds,
                    queued=stats.queued,
                    executing=stats.executing,
                ),
                pods=PodCounts(
                    desired=stats.desired,
                    ready=stats.ready,
                    starting=stats.starting,
                    unschedulable=stats.unschedulable,
                ),
                utilisation=Utilisation(
                    cpu=stats.cpu, memory=stats.memory, gpu_memory=stats.gpu_memory, tensor=stats.tensor
                ),
                cold_start_seconds=stats.cold_start_seconds,
                pod_cores=self.cores,
                calls=stats.calls,
                default_limit=stats.default_limit,
            ),
            self.memory,
            now,
        )
        return Wanted(replicas=decision.replicas, concurrency=decision.concurrency)

    def close(self) -> None:
        """Nothing was started."""


class Literal:
    """The published rule, literally: every 5 s, mean of current requests over 20 s, down by the maximum of 5 min."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self.recent: deque[float] = deque(maxlen=20)
        self.wanted: deque[int] = deque(maxlen=60)

    def observe(self, stats: Stats) -> Wanted:
        self.recent.append(stats.current_requests)
        if round(stats.now) % 5:
            return NOTHING
        wanted = math.ceil(sum(self.recent) / len(self.recent) / self.setting.target - 1e-9)
        self.wanted.append(wanted)
        return Wanted(replicas=max(self.wanted) if len(self.wanted) == 60 or wanted > stats.desired else stats.desired)

    def close(self) -> None:
        """Nothing was started."""


class Static:
    """A fixed fleet."""

    def __init__(self, replicas: int) -> None:
        self.wanted = Wanted(replicas=replicas)

    def observe(self, stats: Stats) -> Wanted:
        return self.wanted

    def close(self) -> None:
        """Nothing was started."""


class _Process:
    """A program that answers a line with a line."""

    def __init__(self, command: list[str], environment: dict[str, str] | None = None) -> None:
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            # One thread and rare collections for a program that answers in lock-step: all cores are in use already.
            env=os.environ | {"GOMAXPROCS": "1", "GOGC": "1000"} | (environment if environment is not None else {}),
            text=True,
            bufsize=1 << 16,
        )

    def tell(self, message: dict[str, Any]) -> None:
        """Sends without waiting."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(message) + "\n")

    def ask(self, message: dict[str, Any]) -> dict[str, Any]:
        """Sends and waits for the answer, which may carry a leading @."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.tell(message)
        self.process.stdin.flush()
        while True:
            line = self.process.stdout.readline()
            if not line:
                raise RuntimeError(f"{self.process.args!r} ended with status {self.process.wait()}")
            if line.lstrip("@").startswith("{"):
                answer: dict[str, Any] = json.loads(line.lstrip("@"))
                return answer

    def close(self) -> None:
        """Ends the program."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.terminate()
        self.process.wait(timeout=10)
        self.process.stdout.close()


class Kpa:
    """Knative's autoscaler: a sample each second, a decision each 2 s."""

    def __init__(self, setting: Setting, binary: Path, *, utilisation: float = 0.7, delay: float = 0.0) -> None:
        self.process = _Process(
            [str(binary), str(setting.concurrency * utilisation), str(setting.concurrency), "60", str(delay)]
        )

    def observe(self, stats: Stats) -> Wanted:
        message = {"t": stats.now, "ready": stats.ready, "conc": stats.current_requests}
        if round(stats.now) % 2:
            self.process.tell(message)
            return NOTHING
        answer = self.process.ask(message | {"scale": True})
        return Wanted(replicas=answer["desired"]) if answer["valid"] else NOTHING

    def close(self) -> None:
        self.process.close()


class Hpa:
    """The Kubernetes controller on an external metric, as KEDA creates; `tuned`: +900 % per 15 s, 60 s down."""

    METRIC_LAG = 15
    """Seconds between a load and the metric the controller reads: half of the published average pipeline delay."""

    def __init__(self, setting: Setting, binary: Path, *, utilisation: float = 0.7, tuned: bool = False) -> None:
        environment = {
            "HPA_TARGET": f"{round(setting.concurrency * utilisation * 1000)}m",
            "HPA_REPLICAS": str(max(1, setting.initial)),
        }
        if tuned:
            environment |= {"HPA_UP_PERCENT": "900", "HPA_DOWN_SECONDS": "60"}
        self.lag: deque[float] = deque(maxlen=1 if tuned else self.METRIC_LAG)
        self.process = _Process([str(binary), "-test.run", "TestHarness", "-test.timeout", "0"], environment)

    def observe(self, stats: Stats) -> Wanted:
        self.lag.append(stats.current_requests)
        if round(stats.now) % 5:
            return NOTHING
        return Wanted(replicas=self.process.ask({"t": stats.now, "value": self.lag[0]})["desired"])

    def close(self) -> None:
        self.process.close()


class Keda:
    """KEDA: it alone decides 0 <-> 1 (a poll each 30 s, 300 s of cooldown); 1 <-> N is the HPA it creates."""

    def __init__(self, setting: Setting, binary: Path) -> None:
        self.hpa = Hpa(setting, binary)
        self.active_at = 0.0

    def observe(self, stats: Stats) -> Wanted:
        wanted = self.hpa.observe(stats)
        if stats.current_requests > 0:
            self.active_at = stats.now
        if stats.desired == 0:
            wake = round(stats.now) % 30 == 0 and stats.current_requests > 0
            return Wanted(replicas=1) if wake else Wanted(replicas=0)
        if stats.now - self.active_at >= 300:
            return Wanted(replicas=0)
        return wanted

    def close(self) -> None:
        self.hpa.close()


class RayServer:
    """One process for all runs: importing Ray takes seconds."""

    def __init__(self, python: Path) -> None:
        self.process = _Process([str(python), str(Path(__file__).parent / "peers" / "ray" / "server.py")])


class Ray:
    """Ray Serve's policy, asked once a second (the real loop, ten times: its delays are clock-based).

    Defaults: look-back 30 s, metrics pushed each 10 s, up after 30 s, down after 600 s. `tuned`: pushed each second,
    look-back 5 s, up at once, down after `down` seconds.
    """

    def __init__(
        self,
        setting: Setting,
        server: RayServer,
        *,
        tuned: bool = False,
        down: float = 300.0,
        utilisation: float = 0.7,
    ) -> None:
        self.server = server
        self.push = 1 if tuned else 10
        self.samples: deque[float] = deque(maxlen=5 if tuned else 30)
        self.mean = 0.0
        self.floor = setting.min_replicas
        self.target = setting.initial
        server.process.tell(
            {
                "reset": {
                    "min_replicas": setting.min_replicas,
                    "max_replicas": max(1, setting.max_replicas),
                    "initial_replicas": max(setting.initial, setting.min_replicas),
                    "target_ongoing_requests": setting.concurrency * utilisation,
                    "upscale_delay_s": 0.0 if tuned else 30.0,
                    "downscale_delay_s": down if tuned else 600.0,
                    "look_back_period_s": 5.0 if tuned else 30.0,
                    "metrics_interval_s": float(self.push),
                }
            }
        )

    def observe(self, stats: Stats) -> Wanted:
        self.samples.append(stats.current_requests)
        if round(stats.now) % self.push == 0:
            self.mean = sum(self.samples) / len(self.samples)
        answer = self.server.process.ask(
            {"t": stats.now, "running": stats.ready, "target": stats.desired, "total": self.mean}
        )
        return Wanted(replicas=answer["desired"])

    def close(self) -> None:
        """The server outlives the run."""
