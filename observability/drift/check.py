"""Check: compares an endpoint's last hours with the first ones of the version that serves, and keeps what it finds."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from deltalake.exceptions import TableNotFoundError

from headrace.observability.drift.comparison import Finding, compare
from headrace.observability.drift.payload_values import Column, Value
from headrace.observability.drift.results import Outcome, Results
from headrace.observability.drift.windows import Reader, Window


def check(uri: str, options: Mapping[str, str], *, every_hours: int, now: datetime) -> Outcome | None:
    """What the check found; what the one before found, where that is less than `every_hours` ago; None where there is
    nothing to compare yet.

    A version's baseline are its first `every_hours`, or the oldest that the table's retention has left. A version is
    compared with itself alone: another one is meant to predict otherwise. Raises what deltalake raises.
    """
    results = Results(uri, options)
    before, span = results.last(), timedelta(hours=every_hours)
    if before is not None and now < before.checked_at + span:
        return before
    try:
        reader = Reader(uri, options)
    except TableNotFoundError:
        return before
    window = Window(now - span, now)
    baselines = {
        version: Window(first, first + span)
        for version, first in sorted(reader.first_requests().items())
        if first + span <= window.begin
    }
    new = reader.samples(window, baselines)
    pairs = {version: (_baseline(reader, version, baselines[version]), rows) for version, rows in new.items()}
    found: list[list[Finding]] = compare(list(pairs.values()))
    checks = [(version, baselines[version], window, each) for version, each in zip(pairs, found, strict=True) if each]
    if not checks:
        return before
    results.add(now, checks)
    return results.last()


def _baseline(reader: Reader, version: str, window: Window) -> list[dict[Column, Value]]:
    return reader.samples(window, {version: window}).get(version, [])
