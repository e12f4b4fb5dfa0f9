"""What callers have asked one version is asked of the other, at its own address, and counted."""

import json
from typing import Any

import pytest

from headrace.routing.rollout.answer_comparer import AnswerComparer, Pair
from headrace.routing.rollout.engine import Compared

SAMPLES = [
    {"content_type": "application/json", "body": f'{{"inputs": [{number}]}}', "answer": '{"predictions": ["v1"]}'}
    for number in range(4)
]


class Versions:
    """A real balancer with two versions, of which one's admin port tells what it was asked."""

    def __init__(self, platform: Any, make_endpoint: Any, make_version: Any) -> None:
        self.old, self.new, self.admin = platform.server("v1"), platform.server("v2"), platform.server("admin")
        self.admin.answer = json.dumps(SAMPLES).encode()
        platform.publish(
            make_endpoint("fraud", make_version("v1", 100), make_version("v2", 0)),
            pods={("fraud", "v1"): (self.old,), ("fraud", "v2"): (self.new,)},
        )
        balancer = f"127.0.0.1:{platform.options.load_balancer_port}"
        self.comparer = AnswerComparer(balancer=balancer, admin_port=self.admin.address.port)
        self.comparer.want([Pair(endpoint="fraud", new="v2", hosts=("127.0.0.1",))])

    def look(self) -> Compared:
        self.comparer.look()
        return self.comparer.total("fraud", "v2")


@pytest.fixture
def versions(platform: Any, make_endpoint: Any, make_version: Any) -> Versions:
    return Versions(platform, make_endpoint, make_version)


def test_the_new_version_is_asked_the_same_and_nobody_else(versions: Versions) -> None:
    versions.new.answer = b'{"predictions": ["v1"]}'
    assert versions.look() == Compared(answers=4, changed=0)

    assert [seen.body for seen in versions.new.requests] == [sample["body"].encode() for sample in SAMPLES]
    assert {seen.path for seen in versions.new.requests} == {"/invocations"}
    assert versions.old.requests == []
    assert {seen.path for seen in versions.admin.requests} == {"/answers"}


def test_what_differs_is_counted(versions: Versions) -> None:
    assert versions.look() == Compared(answers=4, changed=4)  # the new version's label is its own name


def test_a_failure_is_no_difference(versions: Versions) -> None:
    """The balancers count it: that is the gate of errors."""
    versions.new.status = 500
    assert versions.look() == Compared()


@pytest.mark.parametrize("told", [b"nonsense", b"{}", b'[1, {"body": "x"}]'])
def test_what_a_pod_tells_is_a_strangers_word(versions: Versions, told: bytes) -> None:
    versions.admin.answer = told
    assert versions.look() == Compared()


def test_several_beside_one_version_are_asked_what_its_pod_has_told_once(versions: Versions) -> None:
    versions.comparer.want([Pair(endpoint="fraud", new=new, hosts=("127.0.0.1",)) for new in ("v1", "v2")])
    versions.comparer.look()

    assert len(versions.admin.requests) == 1
    alike, _ = versions.comparer.taken("fraud", "v1")
    other, differing = versions.comparer.taken("fraud", "v2")
    assert (alike, other) == (Compared(answers=4), Compared(answers=4, changed=4))
    assert {(found.row, found.serving, found.shadow) for found in differing} == {(0, '"v1"', '"v2"')}
    assert versions.comparer.taken("fraud", "v2") == (Compared(), [])


def test_totals_of_what_is_not_compared_any_more_are_forgotten(versions: Versions) -> None:
    assert versions.look().answers == 4
    versions.comparer.want([])
    assert versions.comparer.total("fraud", "v2") == Compared()
