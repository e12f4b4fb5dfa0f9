"""Evidence that may be looked at any time: what it never does by chance, and how soon it speaks."""

import math
import random
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.routing.rollout.engine.sequential_test import NO_REQUESTS, UNTRIED, Hypothesis, Sample, SequentialTest

NO_WORSE = Hypothesis(margin=0.005)
SERIOUS = Hypothesis(margin=0.05, reversed=True)


def outcomes(requests: int, share: float) -> list[tuple[int, float]]:
    """Every number of bad ones among `requests`, with its probability."""
    return [
        (bad, math.comb(requests, bad) * share**bad * (1 - share) ** (requests - bad)) for bad in range(requests + 1)
    ]


@settings(max_examples=40)
@given(
    former=st.floats(0, 1),
    worse=st.floats(0, 1),
    margin=st.floats(0, 0.5),
    sizes=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    history=st.tuples(st.integers(0, 1000), st.floats(0, 1)),
    is_reversed=st.booleans(),
)
def test_no_bet_can_be_expected_to_win_while_the_hypothesis_holds(
    *, former: float, worse: float, margin: float, sizes: tuple[int, int], history: tuple[int, float], is_reversed: bool
) -> None:
    """The expected payoff of a block is at most 1 in every state that the hypothesis allows: exact, not simulated."""
    hypothesis = Hypothesis(margin=margin, reversed=is_reversed)
    new = min(1.0, former + margin + worse) if is_reversed else min(1.0, former + margin) * worse
    before = Sample(requests=history[0], bad=history[0] * history[1])

    expected = math.fsum(
        chance
        * beside
        * math.exp(
            UNTRIED.after(
                hypothesis,
                new=Sample(requests=sizes[0], bad=bad),
                former=Sample(requests=sizes[1], bad=other),
                before=before,
            ).log_evidence
        )
        for (bad, chance), (other, beside) in product(outcomes(sizes[0], new), outcomes(sizes[1], former))
    )

    if not is_reversed or new >= former + margin - 1e-12:
        assert expected <= 1.0 + 1e-6


@pytest.mark.parametrize("share", [0.0, 0.01, 0.2])
def test_of_versions_alike_hardly_one_in_a_hundred_is_ever_suspected(share: float) -> None:
    """Looked at after every twenty-fifth request, a hundred times; Ville's bound is one in a hundred."""
    chance = random.Random(1)
    suspected = 0
    for _ in range(100):
        test, before = UNTRIED, NO_REQUESTS
        for _ in range(100):
            new = Sample(requests=5, bad=sum(chance.random() < share for _ in range(5)))
            former = Sample(requests=20, bad=sum(chance.random() < share for _ in range(20)))
            test = test.after(Hypothesis(margin=0.0), new=new, former=former, before=before)
            before += former
            if test.p_value <= 0.01:
                suspected += 1
                break

    assert suspected <= 3


def test_what_hits_both_versions_alike_is_evidence_of_nothing() -> None:
    test, before = UNTRIED, Sample(requests=10_000, bad=0)
    for _ in range(50):  # a dependency is away, and half of all requests fail
        former = Sample(requests=100, bad=50)
        test = test.after(NO_WORSE, new=Sample(requests=10, bad=5), former=former, before=before)
        before += former

    assert test.p_value == 1.0


def fed(hypothesis: Hypothesis, *, requests: int, bad_every: int | None) -> SequentialTest:
    test, before = UNTRIED, Sample(requests=1000, bad=1)
    for number in range(requests):
        bad = 1 if bad_every is not None and number % bad_every == bad_every - 1 else 0
        former = Sample(requests=10)
        test = test.after(hypothesis, new=Sample(requests=1, bad=bad), former=former, before=before)
        before += former
    return test


def test_few_requests_neither_pass_nor_fail() -> None:
    assert fed(NO_WORSE, requests=20, bad_every=None).p_value > 0.5
    assert fed(NO_WORSE, requests=20, bad_every=20).p_value > 0.01, "one failure among twenty may be chance"
    assert fed(SERIOUS, requests=20, bad_every=None).p_value > 0.1, "twenty sound ones are no proof either"


def test_a_bad_version_fails_and_a_good_one_passes() -> None:
    assert fed(NO_WORSE, requests=200, bad_every=20).p_value < 1e-4
    assert fed(SERIOUS, requests=200, bad_every=20).p_value > 0.01
    assert fed(NO_WORSE, requests=500, bad_every=None).p_value > 0.5
    assert fed(SERIOUS, requests=200, bad_every=None).p_value < 0.01


def test_a_share_that_is_allowed_by_itself_needs_no_former_version() -> None:
    changed = Hypothesis(margin=0.01, absolute=True)
    alike = changed_often = UNTRIED
    for _ in range(30):
        alike = alike.after(changed, new=Sample(requests=10), former=NO_REQUESTS, before=NO_REQUESTS)
        changed_often = changed_often.after(
            changed, new=Sample(requests=10, bad=1), former=NO_REQUESTS, before=NO_REQUESTS
        )

    assert alike.p_value == 1.0
    assert changed_often.p_value < 1e-6
