"""Comparisons: what has changed is found, and what has not seldom alarms, however many columns there are."""

from typing import Any

import numpy as np
import pytest

from headrace.observability.drift.comparison import FALSE_ALARMS, LEAST_ROWS, compare, holm
from headrace.observability.drift.payload_values import INPUT, PREDICTION, QUALITY, TEXT_MOST, Column, LongText

SEED = 7


def sample(random: np.random.Generator, rows: int, **changed: Any) -> list[dict[Column, Any]]:
    """Columns of every kind: numbers, few numbers, categories of which some are rare, texts, nulls."""
    columns = {
        "normal": random.normal(size=rows), "skewed": random.lognormal(size=rows),
        "count": random.poisson(2, rows) * 1.0,
        "colour": random.choice(["red", "green", "blue", "rare"], rows, p=[0.6, 0.3, 0.09, 0.01]),
        "text": [text(length) for length in random.integers(1, 200, rows)],
        "gaps": [None if gap else 1.5 for gap in random.random(rows) < 0.05],
    }  # fmt: skip
    columns |= changed
    return [{Column(INPUT, name): _plain(values[at]) for name, values in columns.items()} for at in range(rows)]


def text(length: int) -> str | LongText:
    return "x" * length if length <= TEXT_MOST else LongText("x" * TEXT_MOST, length)


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def drifted(findings: list[Any]) -> set[str]:
    return {finding.column.name for finding in findings if finding.drifted}


def test_what_has_not_changed_alarms_in_at_most_one_check_of_a_hundred() -> None:
    """Without the least distance, which only takes alarms away. Of 150 checks that alarm at a rate of 1 %, more than 7
    do with a probability below 0.0003."""
    random, alarms = np.random.default_rng(SEED), 0
    for _ in range(150):
        pair = sample(random, LEAST_ROWS), sample(random, 2 * LEAST_ROWS)
        alarms += bool(drifted(compare([pair], least_distance=0.0)[0]))

    assert alarms <= 7


@pytest.mark.parametrize(
    ("column", "changed"),
    [
        ("normal", lambda random, rows: random.normal(0.5, size=rows)),
        ("normal", lambda random, rows: random.normal(0, 2, size=rows)),
        ("count", lambda random, rows: random.poisson(3, rows) * 1.0),
        ("colour", lambda random, rows: random.choice(["red", "green"], rows, p=[0.4, 0.6])),
        ("colour", lambda random, rows: random.choice(["red", "green", "blue", "new"], rows, p=[0.5, 0.2, 0.1, 0.2])),
        ("length of text", lambda random, rows: [text(length) for length in random.integers(100, 300, rows)]),
        ("gaps is null", lambda random, rows: [None if gap else 1.5 for gap in random.random(rows) < 0.3]),
    ],
)
def test_what_has_changed_is_found_and_nothing_else_is(column: str, changed: Any) -> None:
    random, rows = np.random.default_rng(SEED), 1000
    name = column.removeprefix("length of ").removesuffix(" is null")
    [found] = compare([(sample(random, rows), sample(random, rows, **{name: changed(random, rows)}))])

    assert drifted(found) == {column}
    [one] = [finding for finding in found if finding.drifted]
    assert one.p_value <= one.adjusted_p_value <= FALSE_ALARMS
    assert 0.1 <= one.distance <= 1


def test_a_difference_that_is_no_chance_and_small_alarms_nobody() -> None:
    random = np.random.default_rng(SEED)
    old, new = (sample(random, 5000, normal=random.normal(mean, size=5000)) for mean in (0.0, 0.1))
    [found] = compare([(old, new)])

    [normal] = [finding for finding in found if finding.column.name == "normal"]
    assert normal.adjusted_p_value <= FALSE_ALARMS
    assert not normal.drifted


def test_more_errors_alarm_and_fewer_do_not() -> None:
    def labelled(share: float) -> list[dict[Column, Any]]:
        wrong = np.random.default_rng(SEED).random(500) < share
        return [{Column(QUALITY, "error"): float(value), Column(PREDICTION, "0"): 1.0} for value in wrong]

    [worse], [better] = compare([(labelled(0.1), labelled(0.3))]), compare([(labelled(0.3), labelled(0.1))])
    assert drifted(worse) == {"error"}
    assert drifted(better) == set()
    [error] = [finding for finding in worse if finding.column.kind == QUALITY]
    assert error.baseline_mean == pytest.approx(0.1, abs=0.05)
    assert error.mean == pytest.approx(0.3, abs=0.05)


def test_a_column_that_is_gone_has_drifted_and_too_few_rows_are_not_judged() -> None:
    random = np.random.default_rng(SEED)
    old = sample(random, 200)
    new = [{column: value for column, value in row.items() if column.name != "normal"} for row in sample(random, 200)]
    [gone], [few] = compare([(old, new)]), compare([(old, new[: LEAST_ROWS - 1])])

    assert drifted(gone) == {"normal is null"}
    assert few == []


def test_holms_correction_keeps_the_order_and_is_the_published_one() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []
    assert holm([0.9, 0.8]) == [1.0, 1.0]
