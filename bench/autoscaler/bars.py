"""The bars: what the table must show, each with its value and whether it holds. Nothing is rounded in our favour."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.autoscaler.entrants import LITERAL, ORACLE, OURS, STATIC

TIE_VIOLATIONS = 5e-5
"""Shares of late requests nearer than this are equal: a twentieth of a thousandth, less than seeds differ."""
TIE_COST = 0.005
"""Relative, for pod-seconds."""
KPA = "Knative KPA"


@dataclass(frozen=True, kw_only=True)
class Row:
    """Medians over the seeds of one policy in one cell, with the lowest and highest."""

    case: str
    system: str
    family: str
    medians: Mapping[str, float]
    lows: Mapping[str, float]
    highs: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class Bar:
    """One line of the verdict."""

    name: str
    rule: str
    value: str
    holds: bool | None
    """None: its condition is met nowhere, so nothing was tested."""

    def to_json(self) -> dict[str, Any]:
        """As written to the results."""
        return {"name": self.name, "rule": self.rule, "value": self.value, "holds": self.holds}


def rows_of(results: Iterable[tuple[str, str, str, Mapping[str, float]]]) -> list[Row]:
    """Groups (case, system, family, measures) of single runs into rows."""
    grouped: dict[tuple[str, str, str], list[Mapping[str, float]]] = {}
    for case, system, family, measures in results:
        grouped.setdefault((case, system, family), []).append(measures)
    return [
        Row(
            case=case,
            system=system,
            family=family,
            medians={name: statistics.median(run[name] for run in runs) for name in runs[0]},
            lows={name: min(run[name] for run in runs) for name in runs[0]},
            highs={name: max(run[name] for run in runs) for name in runs[0]},
        )
        for (case, system, family), runs in grouped.items()
    ]


def _by_case(rows: Sequence[Row]) -> dict[str, dict[str, Row]]:
    found: dict[str, dict[str, Row]] = {}
    for row in rows:
        found.setdefault(row.case, {})[row.system] = row
    return found


def _late(row: Row) -> float:
    return row.medians["violations"]


def _cost(row: Row) -> float:
    return row.medians["pod_seconds"]


def no_worse(one: Row, other: Row) -> bool:
    """Whether it is neither late more often nor dearer."""
    return _late(one) <= _late(other) + TIE_VIOLATIONS and _cost(one) <= _cost(other) * (1 + TIE_COST)


def dominated_by(ours: Row, peers: Iterable[Row]) -> list[str]:
    """Peers that are no worse in both and clearly better in one."""
    return [
        peer.system
        for peer in peers
        if no_worse(peer, ours)
        and (_late(peer) < _late(ours) - TIE_VIOLATIONS or _cost(peer) < _cost(ours) * (1 - TIE_COST))
    ]


def best_settings(peers: Iterable[Row]) -> dict[str, Row]:
    """Each family's setting with the fewest violations; the cheaper of equals."""
    best: dict[str, Row] = {}
    for peer in peers:
        held = best.get(peer.family)
        if (
            held is None
            or _late(peer) < _late(held) - TIE_VIOLATIONS
            or (abs(_late(peer) - _late(held)) <= TIE_VIOLATIONS and _cost(peer) < _cost(held))
        ):
            best[peer.family] = peer
    return best


def peers_of(systems: Mapping[str, Row]) -> list[Row]:
    """Real autoscalers: not ours, not the ablation, not a fixed fleet, not one that knows the future."""
    return [row for name, row in systems.items() if name not in (OURS, LITERAL, ORACLE, STATIC)]


def comparisons(rows: Sequence[Row]) -> list[Bar]:
    """Against the peers, over all cells of the table."""
    cases = _by_case(rows)
    dominated: list[str] = []
    better: list[str] = []
    cheaper: list[str] = []
    lost: list[str] = []
    busy: dict[str, tuple[float, float]] = {}
    for case, systems in cases.items():
        ours, peers = systems[OURS], peers_of(systems)
        if not peers:
            continue
        over = dominated_by(ours, peers)
        if over:
            dominated.append(f"{case} ({', '.join(over)})")
        best = best_settings(peers)
        if all(no_worse(ours, peer) for peer in best.values()):
            better.append(case)
        else:
            fewer = [peer.system for peer in best.values() if _late(peer) < _late(ours) - TIE_VIOLATIONS]
            lost.append(f"{case} ({', '.join(fewer)} late less often)" if fewer else f"{case} (cost)")
        if not any(
            _late(peer) < _late(ours) - TIE_VIOLATIONS and _cost(peer) <= _cost(ours) * (1 + TIE_COST) for peer in peers
        ):
            cheaper.append(case)
        kpa = systems.get(KPA)
        if kpa is not None:
            busy[case] = (ours.medians["actions"], kpa.medians["actions"])
    total = len(better) + len(lost)
    quiet = [case for case, (ours_actions, kpa_actions) in busy.items() if 3 * ours_actions <= kpa_actions]
    ratio = sum(pair[0] for pair in busy.values()) / max(1.0, sum(pair[1] for pair in busy.values()))
    return [
        Bar(
            name="never dominated",
            rule="in no cell is a peer setting no worse on violations and pod-seconds and better on one",
            value="never" if not dominated else "; ".join(dominated),
            holds=not dominated,
        ),
        Bar(
            name="better than every peer's best setting",
            rule="no more violations at no more pod-seconds than each peer's setting with the fewest violations,"
            " in 80 % of cells",
            value=f"{len(better)} of {total} cells; not in {'; '.join(lost)}" if lost else f"{len(better)} of {total}",
            holds=total > 0 and len(better) >= 0.8 * total,
        ),
        Bar(
            name="best at its price",
            rule="no peer setting that costs as much or less has fewer violations, in 80 % of cells",
            value=f"{len(cheaper)} of {total} cells",
            holds=total > 0 and len(cheaper) >= 0.8 * total,
        ),
        Bar(
            name="actions",
            rule="scale actions at most a third of KPA's, over all cells together",
            value=f"{ratio:.3f} of KPA's",
            holds=bool(busy) and 3 * ratio <= 1,
        ),
        Bar(
            name="actions, cell by cell",
            rule="the same in every cell",
            value=f"{len(quiet)} of {len(busy)} cells: {', '.join(quiet)}",
            holds=bool(busy) and len(quiet) == len(busy),
        ),
        Bar(
            name="requests cut by scale-down",
            rule="0",
            value=f"{sum(systems[OURS].highs['cut'] for systems in cases.values()):.0f}",
            holds=all(systems[OURS].highs["cut"] == 0 for systems in cases.values()),
        ),
    ]


def absolutes(rows: Sequence[Row], unlimited: Sequence[Row], ramp: Row, *, diurnal: Sequence[str]) -> list[Bar]:
    """Against numbers."""
    cases, free = _by_case(rows), _by_case(unlimited)
    steady, step = cases["steady"][OURS], cases["step"][OURS]
    overshoot = free["step"][OURS].medians["overshoot"]
    etas = {case: cases[case][OURS].medians["eta"] for case in diurnal}
    return [
        Bar(
            name="steady",
            rule="0 actions",
            value=f"{steady.highs['actions']:.0f}",
            holds=steady.highs["actions"] == 0,
        ),
        Bar(
            name="ramp60, capacity",
            rule="ready for 10,000 rps within 60 s of the start of the ramp, cold start 30 s",
            value=f"{ramp.medians['capacity_seconds']:.0f} s",
            holds=ramp.medians["capacity_seconds"] <= 60,
        ),
        Bar(
            name="ramp60, violations",
            rule="at most 1 % of the requests of the ramp and 30 minutes at the top, cold start 30 s",
            value=f"{ramp.medians['violations']:.2%}",
            holds=ramp.medians["violations"] <= 0.01,
        ),
        Bar(
            name="step, capacity",
            rule="ready for 10,000 rps within the cold start (10 s) + 6 s",
            value=f"{step.medians['capacity_seconds']:.0f} s",
            holds=step.medians["capacity_seconds"] <= 16,
        ),
        Bar(
            name="step, overshoot",
            rule="at most twice the pods needed, without a replica limit",
            value=f"{overshoot:.2f}",
            holds=overshoot <= 2.0,
        ),
        Bar(
            name="cost on diurnal loads",
            rule="pod-seconds at most 1.5 of the clairvoyant bound",
            value=", ".join(f"{case} {eta:.3f}{_known(cases[case])}" for case, eta in etas.items()),
            holds=all(eta <= COST_BAR for eta in etas.values()),
        ),
    ]


def _known(systems: Mapping[str, Row]) -> str:
    """What it costs to be late no more often than any peer where each second is known (bench/autoscaler/oracle.py)."""
    oracle = systems.get(ORACLE)
    return f" (whoever knows each second, as prompt as the best peer: {oracle.medians['eta']:.2f})" if oracle else ""


COST_BAR = 1.5
"""Pod-seconds over the clairvoyant bound that the bar on diurnal loads allows."""
SAVING_BAR = 0.9
"""Share of a fixed fleet's pod-seconds to be saved where the load allows it."""


def savings(rows: Sequence[Row], traces: Sequence[str]) -> list[Bar]:
    """Against a fixed fleet, per trace. What a trace allows follows from its peak over mean and the headroom h of the
    fixed fleet: saving = 1 - eta / (h x peak / mean). At the eta of COST_BAR, 90 % needs h x peak / mean of 15."""
    cases = _by_case(rows)
    least = COST_BAR / (1.0 - SAVING_BAR)
    bars = []
    for case in traces:
        measures = cases[case][OURS].medians
        ratio = measures["peak_over_mean"]
        asked = [headroom for headroom in (1, 2) if headroom * ratio >= least - 1e-9]
        bars.append(
            Bar(
                name=f"saving, {case}",
                rule=f"at least {SAVING_BAR:.0%} against a fixed fleet where its headroom x peak/mean is {least:.0f} or"
                " more" + ("" if asked else "; this trace does not meet the condition"),
                value=f"peak/mean {ratio:.1f}: saved {measures['saving_h1']:.1%} against the peak,"
                f" {measures['saving_h2']:.1%} against twice the peak (the clairvoyant bound saves"
                f" {measures['saving_possible_h1']:.1%} and {measures['saving_possible_h2']:.1%})",
                holds=all(measures[f"saving_h{headroom}"] >= SAVING_BAR for headroom in asked) if asked else None,
            )
        )
    return bars


def learning(lessons: Mapping[str, Sequence[Mapping[str, float]]]) -> list[Bar]:
    """The vertical axis, medians over the seeds."""

    def middle(name: str) -> dict[str, float]:
        return {
            lesson: statistics.median(run[name] for run in runs) for lesson, runs in lessons.items() if name in runs[0]
        }

    errors, extra = middle("error"), middle("extra_violations")
    shifts, changes = middle("error_after_shift"), middle("changes_after")
    return [
        Bar(
            name="vertical, learned",
            rule="within 15 % of the best concurrency after 10 minutes, every service",
            value=", ".join(f"{name} {error:.0%}" for name, error in errors.items()),
            holds=all(error <= 0.15 for error in errors.values()),
        ),
        Bar(
            name="vertical, price",
            rule="at most 1 % more violations than a run that knows the best, every service",
            value=", ".join(f"{name} {share:+.2%}" for name, share in extra.items()),
            holds=all(share <= 0.01 for share in extra.values()),
        ),
        Bar(
            name="vertical, shift",
            rule="within 15 % of the new best 10 minutes after the model changed",
            value=", ".join(f"{name} {error:.0%}" for name, error in shifts.items()),
            holds=all(error <= 0.15 for error in shifts.values()),
        ),
        Bar(
            name="vertical, silent",
            rule="no change after the first 10 minutes until the model changes",
            value=", ".join(f"{name} {count:.0f}" for name, count in changes.items()),
            holds=all(count == 0 for count in changes.values()),
        ),
    ]
