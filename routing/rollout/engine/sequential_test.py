"""SequentialTest: evidence that one share is beyond another, which may be looked at after every request.

A bettor's wealth. Before a block of requests is seen, a bet is made on the shares of bad requests: `former` as it was
so far, `new` worse by some difference. The bet pays the probability of what is seen then under these shares over that
under the nearest shares that the hypothesis allows. While the hypothesis holds nobody can expect to win: the product of
what bets pay is a nonnegative supermartingale, and it reaches 1/alpha with a probability of at most alpha, however long
and however often one looks (Ville's inequality). Bets on several differences are made side by side and their wealth is
averaged, which is a mixture sequential probability ratio test.

Blocks of two samples and the nearest shares: R. J. Turner, A. Ly, P. D. Grünwald, "Generic E-variables for exact
sequential k-sample tests that allow for optional stopping", Journal of Statistical Planning and Inference 230 (2024);
R. J. Turner, P. D. Grünwald, "Exact anytime-valid confidence intervals for contingency tables and beyond", Statistics &
Probability Letters 198 (2023), for hypotheses that are half-planes. Always-valid p-values: R. Johari, P. Koomen,
L. Pekelis, D. Walsh, "Always valid inference", Operations Research 70 (2022).

It is exact, for few requests too, and needs no share to stay the same over time: what hits both versions alike, a
dependency that fails or a caller that sends nonsense, is evidence of nothing.
"""

import math
from dataclasses import dataclass
from typing import Final

_TINY: Final = 1e-9
_HALVINGS: Final = 40
PRIOR_REQUESTS: Final = 5.0
PRIOR_SHARE: Final = 0.05
"""Before anything is known of the former version, it is taken for as bad as so many requests with this share. A wrong
guess costs evidence, never correctness."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """Requests, and how many of them were bad."""

    requests: float = 0.0
    bad: float = 0.0

    def __add__(self, other: "Sample") -> "Sample":
        return Sample(requests=self.requests + other.requests, bad=self.bad + other.bad)

    @property
    def share(self) -> float:
        """Of bad requests; 0 without requests."""
        return self.bad / self.requests if self.requests > 0 else 0.0


NO_REQUESTS: Final = Sample()


@dataclass(frozen=True, kw_only=True, slots=True)
class Hypothesis:
    """`new <= former + margin`; where it is `reversed`, `new >= former + margin`. Shares, 0 to 1."""

    margin: float
    reversed: bool = False
    absolute: bool = False
    """`former` is 0 by definition, and no sample of it is needed."""

    def differences(self) -> tuple[float, ...]:
        """Differences beyond what is allowed that are bet on: from slight to total, and each half of that before it."""
        if self.reversed:
            return self.margin, self.margin * 0.75, self.margin * 0.5
        return 0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64


@dataclass(frozen=True, kw_only=True, slots=True)
class SequentialTest:
    """The wealth of bets against a hypothesis. Immutable: `after` gives the test after one more block."""

    log_wealth: tuple[float, ...] = ()
    """Natural logarithm, of each difference that is bet on; empty before the first block."""

    @property
    def log_evidence(self) -> float:
        """Natural logarithm of the mean wealth: above -log(alpha), the hypothesis is rejected at alpha."""
        if not self.log_wealth:
            return 0.0
        top = max(self.log_wealth)
        return top + math.log(math.fsum(math.exp(each - top) for each in self.log_wealth) / len(self.log_wealth))

    @property
    def p_value(self) -> float:
        """Always valid: whenever one looks, it is below alpha with a probability of at most alpha."""
        return math.exp(-max(0.0, self.log_evidence))

    def after(self, hypothesis: Hypothesis, *, new: Sample, former: Sample, before: Sample) -> "SequentialTest":
        """The test after the block of `new` and `former`; `before` is all that was seen of the former earlier."""
        share = 0.0 if hypothesis.absolute else _guess(before)
        differences = hypothesis.differences()
        wealth = self.log_wealth if self.log_wealth else (0.0,) * len(differences)
        if new.requests <= 0 or (former.requests <= 0 and not hypothesis.absolute):
            return SequentialTest(log_wealth=wealth)  # nothing to compare
        sign = -1.0 if hypothesis.reversed else 1.0
        won = []
        for difference in differences:
            worse = _inside(share + hypothesis.margin + sign * difference)
            won.append(_payoff(hypothesis, new=new, former=former, bet=(worse, share)))
        return SequentialTest(log_wealth=tuple(map(math.fsum, zip(wealth, won, strict=True))))


UNTRIED: Final = SequentialTest()


def _guess(seen: Sample) -> float:
    return _inside((seen.bad + PRIOR_REQUESTS * PRIOR_SHARE) / (seen.requests + PRIOR_REQUESTS))


def _inside(share: float) -> float:
    return min(1.0 - _TINY, max(_TINY, share))


def _payoff(hypothesis: Hypothesis, *, new: Sample, former: Sample, bet: tuple[float, float]) -> float:
    """Natural logarithm of what the bet on shares of (new, former) pays."""
    worse, share = bet
    margin = hypothesis.margin
    allowed = worse <= share + margin if not hypothesis.reversed else worse >= share + margin
    if allowed:
        return 0.0  # an allowed state is no bet
    if hypothesis.absolute:
        return _log_ratio(new, worse, _inside(margin))
    nearest = _nearest(worse, share, margin, weights=(new.requests, former.requests))
    return _log_ratio(new, worse, _inside(nearest + margin)) + _log_ratio(former, share, nearest)


def _log_ratio(seen: Sample, bet: float, allowed: float) -> float:
    good = seen.requests - seen.bad
    return seen.bad * math.log(bet / allowed) + good * math.log((1.0 - bet) / (1.0 - allowed))


def _nearest(new: float, former: float, margin: float, *, weights: tuple[float, float]) -> float:
    """The share q of the former so that (q + margin, q) is nearest to the bet, by relative entropy of the block.

    The entropy is convex in q, and its slope is zero between the two shares.
    """
    low, high = sorted((_inside(former), _inside(new - margin)))
    low, high = max(low, _TINY - min(0.0, margin)), min(high, 1.0 - _TINY - max(0.0, margin))
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        beside = _inside(middle + margin)
        slope = weights[0] * (beside - new) / (beside * (1 - beside))
        slope += weights[1] * (middle - former) / (middle * (1 - middle))
        low, high = (low, middle) if slope > 0 else (middle, high)
    return _inside((low + high) / 2)
