"""Comparison: whether the values of two samples come from the same distribution, column by column. Pure.

A column has drifted where the difference is no chance and is large. No chance: the two-sample Kolmogorov-Smirnov test
of numbers, Pearson's chi-squared test of categories (SciPy), and Holm's correction over all columns of a check, by
which a check of samples that do not differ alarms at all with a probability of at most FALSE_ALARMS, however many
columns there are and however these depend on each other. Large: with thousands of rows any two weeks differ by more
than chance, so that the distance must be LEAST_DISTANCE as well; this only takes alarms away.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from scipy import stats

from headrace.observability.drift.payload_values import QUALITY, Column, LongText, Value

FALSE_ALARMS: Final = 0.01
"""The highest probability that a check of what has not changed alarms: one a hundred days of daily checks."""
LEAST_DISTANCE: Final = 0.1
"""A tenth of the requests have other values than before."""
LEAST_ROWS: Final = 50
"""Of each sample, in a column that is compared: the tests' approximations hold from here on."""
_LEAST_EXPECTED: Final = 5.0
"""Of a category in each sample, for the chi-squared test (Cochran's rule); rarer ones are one category together."""
_MOST_CATEGORIES: Final = 50
"""Texts with more different values are free texts, of which the lengths are compared."""
Sample = Sequence[Mapping[Column, Value]]
"""Rows; a column that a row lacks is null there."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What was found of one column."""

    column: Column
    test: str
    """`kolmogorov-smirnov` or `chi-squared`."""
    rows: int
    """Values that are not null, in the window; of nulls, all."""
    baseline_rows: int
    mean: float | None
    """In the window; None for categories."""
    baseline_mean: float | None
    distance: float
    """Between the distributions, 0 to 1: the largest difference of the cumulative ones of numbers, the share of rows in
    another category else."""
    p_value: float
    adjusted_p_value: float
    """By Holm, over all columns of the check."""
    drifted: bool


def compare(
    pairs: Sequence[tuple[Sample, Sample]],
    *,
    false_alarms: float = FALSE_ALARMS,
    least_distance: float = LEAST_DISTANCE,
) -> list[list[Finding]]:
    """Findings of each pair of baseline and window, which are of one check. A pair without LEAST_ROWS has none."""
    found = [_columns(baseline, window) for baseline, window in pairs]
    adjusted = iter(holm([finding.p_value for each in found for finding in each]))
    return [[_judged(one, next(adjusted), false_alarms, least_distance) for one in each] for each in found]


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values corrected for their number, in their order (Holm 1979)."""
    adjusted, highest = [0.0] * len(p_values), 0.0
    for rank, at in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        highest = max(highest, min(1.0, p_values[at] * (len(p_values) - rank)))
        adjusted[at] = highest
    return adjusted


def _judged(found: Finding, adjusted: float, false_alarms: float, least_distance: float) -> Finding:
    drifted = adjusted <= false_alarms and found.distance >= least_distance
    if found.column.kind == QUALITY and drifted:  # fewer errors than before alarm nobody
        drifted = (found.mean or 0.0) > (found.baseline_mean or 0.0)
    return replace(found, adjusted_p_value=adjusted, drifted=drifted)


def _columns(baseline: Sample, window: Sample) -> list[Finding]:
    if min(len(baseline), len(window)) < LEAST_ROWS:
        return []
    columns = dict.fromkeys(column for sample in (baseline, window) for row in sample for column in row)
    return [finding for column in columns for finding in _of_column(column, baseline, window)]


def _of_column(column: Column, baseline: Sample, window: Sample) -> list[Finding]:
    all_old, all_new = ([row.get(column) for row in sample] for sample in (baseline, window))
    old, new = ([value for value in values if value is not None] for values in (all_old, all_new))
    found = []
    if column.kind != QUALITY and (len(old), len(new)) != (len(all_old), len(all_new)):  # labels come when they come
        nulls = [str(value is None) for value in all_old], [str(value is None) for value in all_new]
        found.append(_of_categories(Column(column.kind, f"{column.name} is null"), *nulls))
    if min(len(old), len(new)) < LEAST_ROWS:
        return found
    numbers_old, numbers_new = _numbers(old), _numbers(new)
    if numbers_old is not None and numbers_new is not None:
        return [*found, _of_numbers(column, numbers_old, numbers_new)]
    texts_old, texts_new = [str(value) for value in old], [str(value) for value in new]
    if len({*texts_old}) > _MOST_CATEGORIES:
        lengths = [np.array([_length(value) for value in values]) for values in (old, new)]
        return [*found, _of_numbers(Column(column.kind, f"length of {column.name}"), *lengths)]
    return [*found, _of_categories(column, texts_old, texts_new)]


def _length(value: Value) -> float:
    return float(value.length if isinstance(value, LongText) else len(str(value)))


def _numbers(values: Sequence[Value]) -> "np.ndarray | None":
    return np.array(values) if all(isinstance(value, float) for value in values) else None


def _of_numbers(column: Column, old: "np.ndarray", new: "np.ndarray") -> Finding:
    told = stats.ks_2samp(old, new, method="asymp")
    return _finding(
        column, "kolmogorov-smirnov", len(old), len(new), distance=float(told.statistic), p_value=float(told.pvalue),
        mean=float(new.mean()), baseline_mean=float(old.mean()),
    )  # fmt: skip


def _of_categories(column: Column, old: Sequence[str], new: Sequence[str]) -> Finding:
    counts_old, counts_new = Counter(old), Counter(new)
    share = min(len(old), len(new)) / (len(old) + len(new))
    table: list[tuple[int, int]] = []
    rare_old = rare_new = 0
    for category in {**counts_old, **counts_new}:
        pair = counts_old[category], counts_new[category]
        if sum(pair) * share >= _LEAST_EXPECTED:
            table.append(pair)
        else:
            rare_old, rare_new = rare_old + pair[0], rare_new + pair[1]
    if rare_old + rare_new:
        if (rare_old + rare_new) * share >= _LEAST_EXPECTED or not table:
            table.append((rare_old, rare_new))
        else:
            smallest = min(range(len(table)), key=lambda at: sum(table[at]))
            table[smallest] = table[smallest][0] + rare_old, table[smallest][1] + rare_new
    shares = np.array(table) / [len(old), len(new)]
    p_value = float(stats.chi2_contingency(np.array(table), correction=False).pvalue) if len(table) > 1 else 1.0
    distance = float(np.abs(shares[:, 0] - shares[:, 1]).sum() / 2)
    return _finding(column, "chi-squared", len(old), len(new), distance=distance, p_value=p_value)


def _finding(
    column: Column, test: str, baseline_rows: int, rows: int, *, distance: float, p_value: float,
    mean: float | None = None, baseline_mean: float | None = None,
) -> Finding:  # fmt: skip
    return Finding(
        column=column, test=test, rows=rows, baseline_rows=baseline_rows, mean=mean, baseline_mean=baseline_mean,
        distance=distance, p_value=p_value, adjusted_p_value=p_value, drifted=False,
    )  # fmt: skip
