"""What became of each request, and percentiles and counts of it."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from bench.load.connection import LOST

REFUSALS: Final = (429, 503)
NEVER: Final = -1.0
"""In place of a moment that did not come."""
PERCENTILES: Final = {"p50": 0.5, "p90": 0.9, "p99": 0.99}


@dataclass
class Ledger:
    """One line a request, in the order in which they ended."""

    lines: list[tuple[float, float, float, int]] = field(default_factory=list)
    """When it was due (of a closed loop: when it left), when it left, when its answer came or its connection ended, in
    seconds of one clock; and its status."""

    def _lines(self, begin: float) -> Iterator[tuple[float, float, float, int]]:
        """Seconds from `begin` when a request was due, from then until it left and until it ended, and its status."""
        for due, left, ended, status in self.lines:
            late = left - due if left != NEVER else NEVER
            yield due - begin, late, ended - due if ended != NEVER else NEVER, status

    def write(self, path: Path, begin: float) -> None:
        """A line a request as CSV, in the order in which they were due."""
        lines = enumerate(sorted(self._lines(begin)))
        text = "".join(f"{at},{due:.4f},{status},{took:.4f}\n" for at, (due, _, took, status) in lines)
        path.write_text("id,sent,status,seconds\n" + text)

    def told(self, begin: float, seconds: float) -> dict[str, Any]:
        """Counts and percentiles of requests that were due since `begin`, whole and by the second in which they ended.

        Latency counts from when a request was due (no coordinated omission). `goodput` is of all that came within
        `seconds`, whenever it was due; `broken` are all requests without an answer, those before `begin` too.
        """
        lines = list(self._lines(begin))
        measured = [line for line in lines if line[0] >= 0]
        good = [took for _, _, took, status in measured if status == 200]
        in_time = sum(status == 200 and 0 <= due + took < seconds for due, _, took, status in lines)
        kinds = {
            "": good,
            "refused_": [took for _, _, took, status in measured if status in REFUSALS],
            "refused_sent_": [took - late for _, late, took, status in measured if status in REFUSALS],
            "late_": [late for _, late, _, _ in measured if late != NEVER],
        }
        return {
            "sent": len(measured),
            "answers": len(good),
            "failures": len(measured) - len(good),
            "statuses": dict(Counter(status for *_, status in measured if status != LOST)),
            "broken": sum(status == LOST for *_, status in lines),
            "goodput": in_time / seconds,
            "requests_per_second": len(good) / seconds,
            **{name: value for kind, values in kinds.items() for name, value in percentiles(values, kind).items()},
            "track": _track(measured),
        }


def _track(measured: Sequence[tuple[float, float, float, int]]) -> list[dict[str, Any]]:
    good: dict[int, list[float]] = {}
    failed: Counter[int] = Counter()
    for due, _, took, status in measured:
        second = int(due + max(0.0, took))
        if status == 200:
            good.setdefault(second, []).append(took)
        else:
            failed[second] += 1
    return [
        {
            "second": second,
            "answers": len(good.get(second, ())),
            "failures": failed[second],
            **{"p50_ms": 0.0, "p99_ms": 0.0, **percentiles(good.get(second, ()))},
        }
        for second in range(max([*good, *failed], default=-1) + 1)
    ]


def percentiles(values: Sequence[float], kind: str = "") -> dict[str, float]:
    """In milliseconds, of seconds; nothing of none."""
    ordered = sorted(values)
    return {f"{kind}{name}_ms": 1e3 * percentile(ordered, share) for name, share in PERCENTILES.items() if ordered}


def percentile(ordered: Sequence[float], share: float) -> float:
    """Of sorted values."""
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
