"""What one proxy has asked for, was sent and accepted of one type of resource."""

from headrace.routing.ads.subscription import Subscription
from headrace.routing.snapshot import Resource


def test_a_name_that_does_not_exist_is_said_not_to_exist_once() -> None:
    subscription = Subscription()
    subscription.update(["gone"], [])
    difference = subscription.difference({})
    assert difference.removals == ("gone",)
    subscription.sent(difference, "1")
    assert not subscription.difference({})
    there = {"gone": Resource.of("gone", {})}
    assert subscription.difference(there).upserts == (there["gone"],)


def test_an_old_answers_acceptance_is_ignored() -> None:
    subscription = Subscription()
    subscription.update(["a"], [])
    subscription.sent(subscription.difference({"a": Resource.of("a", {})}), "2")
    assert not subscription.acknowledged("1", rejected=False)
    assert subscription.unacknowledged == "2"
