"""`PYTHONPATH=. python tests/autoscaler/record_decisions.py` writes tests/recorded/autoscaler-decisions.jsonl.xz:
looks at versions under many loads, what was seen and what was decided. test_recorded_decisions.py decides them again.

Recorded anew only by a change that is meant to change decisions. The loads are closed loops: pods follow decisions.
"""

import json
import lzma
import math
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pod_story
import scaling_story
from pod_story import COMPUTES, LOGISTIC, WAITS, PodStory
from scaling_story import Story

from bench.autoscaler import cells, podrun, policies, product, run
from headrace.autoscaler.engine import Decision, Learned, Memory, Observation, PodCounts, Utilisation, decide, encode
from headrace.contract.apa import AutoscalerSpec

FILE = Path(__file__).parents[2] / "tests" / "recorded" / "autoscaler-decisions.jsonl.xz"
DIGITS = 14
"""Of a recorded number: what is beyond them differs with the mathematical library of a machine."""

Look = dict[str, Any]


class Recorder:
    """Stands for `decide` and notes each look. A line without memory of the one before begins with a profile."""

    def __init__(self) -> None:
        self.lines: list[Look] = []
        self._after: Memory | None = None
        self._spec: dict[str, Any] = {}

    def decide(
        self, spec: AutoscalerSpec, observation: Observation, memory: Memory, now: float
    ) -> tuple[Decision, Memory]:
        """Decides, and notes what went in and came out."""
        line: Look = {}
        if memory is not self._after:
            line["profile"] = encode(memory.learned.profile)
        if (written := spec.to_json()) != self._spec:
            line["spec"] = self._spec = written
        decision, self._after = decide(spec, observation, memory, now)
        line["observation"] = {"load": None, **without_absent(encode(observation))}
        line["decision"] = rounded(encode(decision))
        self.lines.append(line)
        return decision, self._after


def without_absent(value: Any) -> Any:
    """The same without what is None or empty."""
    if not isinstance(value, dict):
        return value
    found = {key: without_absent(item) for key, item in value.items()}
    return {key: item for key, item in found.items() if item is not None and item != {} and item is not False}


def rounded(value: Any) -> Any:
    """The same with DIGITS of each number."""
    if isinstance(value, float) and math.isfinite(value):
        return float(f"{value:.{DIGITS}g}")
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    return [rounded(item) for item in value] if isinstance(value, list) else value


def _white(height: float, mean: float, seed: int) -> Callable[[int], float]:
    dice = random.Random(seed)
    return lambda second: float(round(max(0.0, mean * (1.0 + height * dice.gauss(0.0, 1.0)))))


def noise() -> None:
    story = Story()
    story.begin(18)
    story.run(400, _white(0.5, 1000.0, 1))
    story.run(60, _white(0.3, 4000.0, 2))


def steady() -> None:
    story = Story()
    story.begin(18)
    story.run(400, _white(0.05, 1000.0, 3))
    story.run(20, 4000)


def jumps() -> None:
    story = Story()
    story.cold_start = 20.0
    for second in range(800):
        high = 1000.0 if 600 <= second < 640 else 290.0 if 180 <= second < 220 or 540 <= second < 600 else 60.0
        story.run(1, high)


def spikes() -> None:
    story = Story()
    story.begin(3)
    story.run(780, lambda second: 1600.0 if second % 240 >= 220 else 100.0)


def day() -> None:
    story = Story()
    story.begin(10)
    dice = random.Random(4)
    story.run(900, lambda second: round(dice.gauss(600 - 500 * math.cos(second / 143.0), 25.0)))


def bursts_within_a_second() -> None:
    story = Story()
    story.limits(min_concurrency=1, max_concurrency=1)
    story.service = lambda _: 0.01
    story.run(60, 10)
    for _ in range(300):
        story.now += 1
        story._serve(10.0)
        waited = sum(max(0, index // story.replicas) for index in range(10)) * 0.01
        story._load = replace(story._load, queued_seconds=story._load.queued_seconds + waited)
        story.decide(story.observation())


def step_and_bounds() -> None:
    story = Story()
    story.run(60, 10)
    story.run(30, 6000)
    story.limits(max_replicas=40)
    story.run(20, 6000)
    story.limits(cost_per_hour=20.0, pod_cost_per_hour=2.0, min_replicas=12)
    story.run(20, 6000)
    story.pods = PodCounts(desired=10, ready=6, unschedulable=3, failing=1)
    story.run(30, 900)


def sleep_and_wake() -> None:
    story = Story()
    story.limits(min_replicas=0, idle_seconds=40.0)
    story.run(60, 20)
    story.run(60, 0)
    story.run(30, lambda second: 3.0 * (second % 2))
    story.run(80, 0)
    story.run(20, 400)


def distrust() -> None:
    story = Story()
    story.begin(5)
    story.run(80, 200)
    for wrong in (math.nan, math.inf, -5.0, 1e308):
        story.now += 1
        story._serve(200)
        seen = story.observation()
        assert seen.load is not None
        story.decide(replace(seen, load=replace(seen.load, completed=wrong)))
    for _ in range(20):
        story.now += 1
        story.decide(replace(story.observation(), load=None))
    story.run(30, 200)
    story._load = replace(story._load, arrived=0.0, completed=0.0, executing_seconds=0.0, queued_seconds=0.0)
    story.run(30, 200)
    seen = story.observation()
    for _ in range(20):
        story.now += 1
        story.decide(seen)  # stale
    story.run(30, 400)
    story.now += 120  # a gap
    story.run(60, 400)
    story.now -= 3600
    story.run(60, 400)
    story.restart()
    story.run(60, 400)


def learned_concurrency_and_releases() -> None:
    story = Story()
    story.limits(min_concurrency=1, max_concurrency=1024, initial_concurrency=4, max_replicas=200)
    load = _white(0.02, 450.0, 5)
    story.service = lambda executing: 0.2 * (8 + 0.5 * executing) / 8
    story.use = lambda executing: Utilisation(cpu=min(1.0, 0.01 * executing), memory=0.2 + 0.002 * executing)
    story.run(500, load)
    successor = Story()
    successor.spec, successor.service, successor.use = story.spec, story.service, story.use
    successor.begin(story.replicas)
    successor.memory = Memory(learned=Learned(profile=story.memory.learned.profile))
    successor.run(120, load)
    successor.service = lambda executing: 0.2 * (8 + 1.6 * executing) / 8
    successor.run(300, load)


def agent() -> None:
    story = Story()
    story.limits(min_concurrency=1, max_concurrency=1024, initial_concurrency=16, max_replicas=200)
    story.cores = 1.0
    story.service = lambda _: 20.0
    story.use = lambda executing: Utilisation(cpu=0.0015 * executing, memory=0.25 + executing / 512)
    story.run(500, lambda second: min(60.0, 1 + second // 8))


def memory_that_fills() -> None:
    story = PodStory(WAITS, cores=64.0, proxies=0.0, fits=100)
    story.spec = replace(story.spec, max_replicas=1)
    story.fill = lambda executing: 0.2 + executing / 256.0
    for step in range(30):
        story.run(10, rate=20.0 + 15.0 * (step % 7))
    story.run(120, rate=250.0)
    story.fill = lambda executing: 0.2 + executing / 2560.0
    for step in range(30):
        story.run(10, rate=20.0 + 15.0 * (step % 7))


def a_knee_that_moves_up() -> None:
    story = Story()
    story.limits(min_concurrency=1, max_concurrency=1024, initial_concurrency=4, max_replicas=200)
    story.service = lambda executing: 0.2 * (8 + 1.6 * executing) / 8
    story.run(300, _white(0.02, 450.0, 8))
    story.service = lambda executing: 0.2 * (8 + 0.2 * executing) / 8
    story.limits(max_replicas=10)
    story.run(400, _white(0.02, 450.0, 9))


def pods_that_slow_each_other() -> None:
    story = Story()
    story.limits(min_concurrency=8, max_concurrency=8)
    story.begin(4)
    story.run(60, 300)
    story.service = lambda executing: 0.05 + 0.02 * story.ready
    story.run(200, 500)


def counters_of_tomorrow_and_a_full_cluster_forgotten() -> None:
    story = Story()
    story.run(40, 40)
    for ahead, grown in ((60.0, 0.0), (0.0, 1e12)):
        story.now += 1
        story._serve(40)
        seen = story.observation()
        assert seen.load is not None
        load = replace(seen.load, arrived=seen.load.arrived + grown)
        story.decide(replace(seen, taken_at=seen.taken_at + ahead, load=load))
    story.pods = PodCounts(desired=4, ready=2, unschedulable=2)
    story.run(20, 400)
    story.pods = None
    story.run(320, 100)
    story.run(20, 3000)


def callers() -> None:
    PodStory(LOGISTIC).run(150, callers=64)
    PodStory(WAITS).run(90, callers=50)


def compute() -> None:
    story = PodStory(COMPUTES, cores=64.0, proxies=0.0, fits=100)
    story.run(60, rate=100.0)
    story.becomes(each=0.08)
    story.run(60, rate=100.0)
    successor = PodStory(COMPUTES, cores=64.0, proxies=0.0, fits=100)
    successor.memory = Memory(learned=Learned(profile=story.memory.learned.profile))
    successor.run(60, rate=_white(0.2, 300.0, 6))


def full_node() -> None:
    story = PodStory(COMPUTES, fits=4)
    story.run(10, rate=5.0)
    story.run(60, rate=400.0)
    story.fits, story.cores = 100, 64.0
    story.run(60, rate=400.0)


def neighbour() -> None:
    story = PodStory(COMPUTES, fits=20)
    story.run(60, rate=20.0)
    story.neighbour = 1.5
    story.run(200, rate=20.0)


def lock() -> None:
    story = PodStory(replace(WAITS, each=0.1), cores=64.0, proxies=0.0, fits=100)
    story.pod_lock, story.waits_inside = 10.0, True
    story.run(60, rate=5.0)
    story.run(200, rate=25.0)


def untold_curve() -> None:
    story = PodStory(LOGISTIC)
    story.told = lambda curve: None
    story.run(120, callers=16)
    story = PodStory(COMPUTES, cores=64.0, proxies=0.0, fits=100)
    story.told = lambda curve: replace(curve, request_seconds=curve.request_seconds / 20, mean_seconds=0.002)
    story.run(150, rate=100.0)


def _cell(name: str, seconds: int, first: int = 0) -> Callable[[], None]:
    def simulated() -> None:
        cell = next(each for each in [*cells.cells(), *cells.held_out()] if each.name == name)
        assert cell.rates is not None
        case = replace(cell, rates=cell.rates[first : first + seconds], capacity_from=None).case(0)
        run.run(case, policies.Apa(case.setting))

    return simulated


def _product(name: str, seconds: int) -> Callable[[], None]:
    def simulated() -> None:
        cell = next(each for each in product.cells() if each.case.name == name)
        case = replace(cell.case, seconds=seconds)
        podrun.run(case, policies.Apa(case.setting, vertical=True))

    return simulated


STORIES: dict[str, Callable[[], None]] = {
    "noise, then a step": noise,
    "steady, then a step": steady,
    "jumps past all pods": jumps,
    "spikes every four minutes": spikes,
    "a day in fifteen minutes": day,
    "bursts within a second": bursts_within_a_second,
    "a step against bounds, a budget and full nodes": step_and_bounds,
    "scale to zero": sleep_and_wake,
    "signals that cannot be trusted": distrust,
    "concurrency learned, a release, a changed model": learned_concurrency_and_releases,
    "an agent that waits": agent,
    "memory that fills": memory_that_fills,
    "a knee that moves up": a_knee_that_moves_up,
    "pods that slow each other": pods_that_slow_each_other,
    "counters of tomorrow, a full cluster forgotten": counters_of_tomorrow_and_a_full_cluster_forgotten,
    "callers of pods that tell their curve": callers,
    "a model that computes, and a release": compute,
    "a full node that gets room": full_node,
    "a noisy neighbour": neighbour,
    "calls that wait for each other": lock,
    "a curve that is not told, and one that is wrong": untold_curve,
    "simulated: a ramp": _cell("ramp60", 260),
    "simulated: waves": _cell("zigzag", 260),
    "simulated: a sine day": _cell("diurnal-slow-start", 400, 600),
    "simulated: a recorded function": _cell("azure-functions-one", 500, 800),
    "simulated: a function that jumps": _cell("azure-function-1, workers, start 20 s", 600, 600),
    "simulated: 16 connections": _product("16 connections", 100),
    "simulated: a model that gets slower": _product("gets slower", 160),
    "simulated: fronts that tell no curve": _product("curve unknown, callers", 100),
}


def recorded() -> Iterator[tuple[str, list[Look]]]:
    """Every story with its looks."""
    for name, story in STORIES.items():
        recorder = Recorder()
        for module in (scaling_story, pod_story, policies):
            module.decide = recorder.decide  # type: ignore[attr-defined]
        story()
        yield name, recorder.lines


def main() -> None:
    """Writes the file and says what is in it."""
    looks = 0
    with lzma.open(FILE, "wt", preset=9 | lzma.PRESET_EXTREME, encoding="utf-8") as file:
        for name, lines in recorded():
            codes = sorted({reason["code"] for line in lines for reason in line["decision"]["reasons"]})
            print(f"{name}: {len(lines)} looks, {', '.join(codes)}")
            file.write(json.dumps({"story": name}) + "\n")
            file.writelines(json.dumps(line, separators=(",", ":")) + "\n" for line in lines)
            looks += len(lines)
    print(f"{looks} looks, {FILE.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
