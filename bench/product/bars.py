"""The bars: pure functions from outcomes to whether each holds."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from bench import report
from bench.product.outcome import FIXED, OURS, Outcome

ONE_POD_BUSY: Final = 0.7
"""A case whose load one pod carries at most so busy has the bars against *ours fixed*."""
CARRIES: Final = 0.9
"""One pod carries a load when it answers this share of what the best fixed number answers."""
STEP_SHARE, STEP_SECONDS = 0.95, 3
"""A load is carried from the first second after which so many in a row bring this share of its rate."""
COLD_START_SECONDS: Final = 10.0
"""Of a pod, where none started during the steps: what the autoscaler takes for it until it has seen one."""
SINGLE_PEERED: Final = {"logistic": 8.0, "forest": 8.0, "xgboost": 8.0, "cnn": 3.0, "CSV": 3.0}
"""Requests a CPU-second over the best peer's, at least."""
FULL: Final = "compute"
"""The case that wants more pods than the node has room for."""


class Table:
    """Outcomes, looked up by case and system."""

    def __init__(self, outcomes: Sequence[Outcome]) -> None:
        self.all = list(outcomes)
        self._found = {(each.case, each.system): each for each in outcomes}

    def ours(self, case: str) -> Outcome | None:
        """At defaults."""
        return self._found.get((case, OURS))

    def fixed(self, case: str) -> list[Outcome]:
        """At each fixed number of pods."""
        return [each for each in self.all if each.case == case and each.pods]

    def best_fixed(self, case: str) -> Outcome | None:
        """The one with most answers; of those within 2 % of it, the one with fewest pods."""
        found = self.fixed(case)
        top = max((each.rate for each in found), default=0.0)
        good = [each for each in found if each.rate >= 0.98 * top]
        return min(good, key=lambda each: each.pods, default=None)

    def peers(self, case: str) -> list[Outcome]:
        """All but ours."""
        return [each for each in self.all if each.case == case and each.system != OURS and not each.pods]


def bars(
    outcomes: Sequence[Outcome], *, run_seconds: float | None = None, most_seconds: float = 2700
) -> list[report.Bar]:
    """All bars of the cases that were measured."""
    table = Table(outcomes)
    made: list[report.Bar] = []
    for ours in [each for each in outcomes if each.system == OURS]:
        if ours.case == "callers":
            made += _callers(ours)
        elif ours.case == "steps":
            made += _steps(ours, table)
        elif ours.case == FULL:
            made += _full_node(ours)
        elif one_pod_carries(table, ours.case):
            made += _one_pod(ours, table)
    made += _forms(table)
    for case, least in SINGLE_PEERED.items():
        made += _against_peers(table, case, least)
    if run_seconds is not None:
        made.append(report.at_most("the whole run", run_seconds / 60, most_seconds / 60, "minutes"))
    return [
        bar if math.isfinite(bar.value) else replace(bar, value=0.0, holds=False, rule=f"{bar.rule}; never")
        for bar in made
    ]


def one_pod_carries(table: Table, case: str) -> bool:
    """Whether one fixed pod answers what the best fixed number does and is at most 70 % busy.

    A loop of fewer connections than another that one pod carries is carried, too.
    """
    whole = case.partition(",")[0]
    one = next((each for each in table.fixed(whole) if each.pods == 1), None)
    best = table.best_fixed(whole)
    return one is not None and best is not None and one.busy <= ONE_POD_BUSY and one.rate >= CARRIES * best.rate


def _one_pod(ours: Outcome, table: Table) -> list[report.Bar]:
    made = [report.at_most(f"{ours.case}: pods ordered", ours.most("ordered"), 2, "pods")]
    best = table.best_fixed(ours.case)
    if best is not None:
        made.append(report.at_least(f"{ours.case}: answers over {FIXED}", _ratio(ours.rate, best.rate), 0.9, "x"))
        made.append(report.at_most(f"{ours.case}: p99 over {FIXED}", _ratio(ours.p99_ms, best.p99_ms), 1.5, "x"))
    made.append(report.at_most(f"{ours.case}: failures", ours.load["failures"], 0, "requests"))
    return made


def _callers(ours: Outcome) -> list[report.Bar]:
    return [
        report.at_most("50 callers that wait: pods ordered", ours.most("ordered"), 3, "pods"),
        report.at_most("50 callers that wait: refused or failed", ours.load["failures"], 0, "requests"),
        report.at_most("50 callers that wait: p99", ours.p99_ms / 1e3, 1.5, "s"),
    ]


def _steps(ours: Outcome, table: Table) -> list[report.Bar]:
    cold = ours.cold_start_seconds
    limit = (COLD_START_SECONDS if cold is None else cold) + 6
    rates = list(ours.load["rates"])
    top = rates.index(max(rates))
    bar = report.at_most(
        "steps: capacity after the highest", capacity_seconds(ours.load["track"], rates, top), limit, "s"
    )
    needed = pods_needed(table, max(rates))
    return [
        bar,
        report.at_most("steps: pods ordered over those needed", ours.most("ordered") / needed, 2, "x"),
        report.at_most("steps: failures", ours.load["failures"], 0, "requests"),
    ]


def capacity_seconds(track: Sequence[Mapping[str, Any]], rates: Sequence[float], step: int) -> float:
    """Seconds from the step until answers come at its rate, three seconds in a row; infinite: never."""
    answers = [each["answers"] for each in track]
    for second in range(step, len(rates) - STEP_SECONDS + 1):
        found = answers[second : second + STEP_SECONDS]
        if len(found) == STEP_SECONDS and min(found) >= STEP_SHARE * rates[step]:
            return float(second - step)
    return math.inf


def pods_needed(table: Table, rate: float) -> int:
    """Pods that carry a rate of the logistic model, by its fixed pods; 1 where that was not measured."""
    one = next((each for each in table.fixed("logistic") if each.pods == 1), None)
    return 1 if one is None or not one.rate else max(1, math.ceil(rate / one.rate))


def _full_node(ours: Outcome) -> list[report.Bar]:
    ordered = [int(look["ordered"]) for look in ours.during]
    return [
        report.at_most(
            f"full node, room for {ours.room}: decisions until orders stop at what fits + 1",
            decisions_beyond(ordered, ours.room), 2, "decisions",
        ),
        report.at_most(
            f"full node, room for {ours.room}: pods ordered", max(ordered, default=0), ours.room + 1, "pods"
        ),
    ]  # fmt: skip


def decisions_beyond(ordered: Sequence[int], room: int) -> int:
    """Changes of what is ordered, from the first that did not fit to the last that was above what fits + 1."""
    changes = [after for before, after in zip([-1, *ordered], ordered, strict=False) if after != before]
    full = next((at for at, pods in enumerate(changes) if pods > room), None)
    if full is None:
        return 0
    beyond = [at for at, pods in enumerate(changes) if pods > room + 1]
    return beyond[-1] - full + 1 if beyond else 0


def _forms(table: Table) -> list[report.Bar]:
    rates = {
        each.case.removeprefix("form: "): each.rate
        for each in table.all
        if each.case.startswith("form: ") and each.system == OURS
    }
    if len(rates) < 2:
        return []
    slowest = min(rates, key=lambda name: rates[name])
    return [
        report.at_least(f"forms: {slowest} over the fastest", _ratio(rates[slowest], max(rates.values())), 0.5, "x")
    ]


def _against_peers(table: Table, case: str, least: float) -> list[report.Bar]:
    ours = table.ours("form: CSV" if case == "CSV" else case)
    peers = [each for each in table.peers("form: CSV" if case == "CSV" else case) if each.load["answers"]]
    if ours is None or not peers:
        return []
    best = max(peers, key=lambda each: each.answers_a_cpu_second)
    quickest = min(peers, key=lambda each: each.p99_ms)
    ratio = _ratio(ours.answers_a_cpu_second, best.answers_a_cpu_second)
    return [
        report.at_least(f"{case}: requests a CPU-second over {best.system} with HPA", ratio, least, "x"),
        report.at_most(
            f"{case}: p99 over {quickest.system} with HPA", _ratio(ours.p99_ms, quickest.p99_ms), 1, "x"
        ),
    ]  # fmt: skip


def _ratio(value: float, by: float) -> float:
    return value / by if by else math.inf
