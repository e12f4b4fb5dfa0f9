"""An endpoint that sleeps on a real cluster, and callers who notice nothing but the wait: each request is sent once."""

import concurrent.futures
import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from live_platform import Answer, Platform, eventually

from headrace.contract import metrics, names

SPACE = "endpoint-breast-cancer"
CALLERS = 100
APA = ("autopilotpodautoscaler", "v1")


class Sleeper:
    """The demo's endpoint, which may sleep."""

    def __init__(self, platform: Platform) -> None:
        self.platform = platform
        scale = {"min_replicas": 0, "idle_seconds": 3.0}
        platform.stack.up(platform.settings([{**platform.endpoint, "scale": scale}]))

    def get(self, path: str, *of: str, space: str = SPACE) -> str:
        return self.platform.kubectl("-n", space, "get", *of, "-o", f"jsonpath={{{path}}}")

    def fall_asleep(self) -> None:
        """Until no pod is left."""
        eventually(lambda: self.get(".items[*].metadata.name", "pods") == "", seconds=240)

    def call(self, count: int, while_held: Callable[[], None] = lambda: None) -> list[tuple[Answer, float]]:
        """That many callers at once, each with one request; answers with the seconds that they took."""

        def ask(_: int) -> tuple[Answer, float]:
            begun = time.monotonic()
            return self.platform.ask(self.platform.model.request), time.monotonic() - begun

        with concurrent.futures.ThreadPoolExecutor(count) as callers:
            calls = [callers.submit(ask, number) for number in range(count)]
            while_held()
            return [call.result(120) for call in calls]

    def counted(self, name: str) -> float:
        """A counter of the fronts, over all pods there are."""
        total = 0.0
        for pod in self.get(".items[*].metadata.name", "pods").split():
            raw = f"/api/v1/namespaces/{SPACE}/pods/{pod}:{names.FRONT_ADMIN_PORT}/proxy{metrics.METRICS_PATH}"
            page = self.platform.kubectl("get", "--raw", raw)
            values = [line for line in page.splitlines() if line.startswith((f"{name} ", f"{name}{{"))]
            total += sum(float(line.rpartition(" ")[2]) for line in values)
        return total


def assert_all_answered(answers: list[tuple[Answer, float]]) -> None:
    """Each with 200; else what the others were told, and after how many seconds."""
    refused = [(answer.status, answer.body[:300], round(taken, 1)) for answer, taken in answers if answer.status != 200]
    assert not refused, f"{len(refused)} of {len(answers)} were not answered: {refused[:3]}, {refused[-3:]}"


@pytest.fixture(scope="module")
def sleeper(platform: Platform) -> Sleeper:
    return Sleeper(platform)


def test_a_hundred_first_callers_are_all_answered_each_by_one_call_of_the_model(
    sleeper: Sleeper, record_property: Any
) -> None:
    sleeper.fall_asleep()
    answers = sleeper.call(CALLERS)
    assert_all_answered(answers)
    assert len({answer.headers["x-request-id"] for answer, _ in answers}) == CALLERS
    assert sleeper.counted(metrics.FRONT_ARRIVED) == CALLERS
    assert sleeper.counted(metrics.FRONT_COMPLETED) == CALLERS
    seconds = sorted(taken for _, taken in answers)
    record_property("first_answer_seconds", round(seconds[0], 2))
    record_property("p95_seconds", round(seconds[94], 2))
    print(f"first {seconds[0]:.2f} s, p50 {seconds[49]:.2f} s, p95 {seconds[94]:.2f} s, last {seconds[-1]:.2f} s")


def test_the_object_says_what_the_start_was_made_of(sleeper: Sleeper) -> None:
    told = json.loads(eventually(lambda: sleeper.get(".status.coldStart", *APA)))
    print(told)
    assert {"decideSeconds", "scheduleSeconds", "pullSeconds", "loadSeconds", "warmUpSeconds"} <= set(told)
    assert told["decideSeconds"] < 1.0
    assert told["seconds"] >= told["loadSeconds"] > 0


@pytest.mark.long
def test_the_activator_that_holds_may_die(sleeper: Sleeper) -> None:
    sleeper.fall_asleep()

    def kill() -> None:
        eventually(lambda: sleeper.get(".spec.replicas", "deployment", "v1") != "0")
        selector = ("pods", "-l", f"{names.COMPONENT_LABEL}={names.ACTIVATOR}")
        shown = sleeper.get(
            "range .items[*]}{.status.podIP}{' '}{.metadata.name}{'\\n'}{end", *selector, space=names.SYSTEM_NAMESPACE
        )
        _, asked_first = min(line.split() for line in shown.splitlines())
        sleeper.platform.kubectl(
            "-n", names.SYSTEM_NAMESPACE, "delete", "pod", asked_first, "--grace-period=0", "--force"
        )

    answers = sleeper.call(CALLERS, kill)
    assert_all_answered(answers)
    assert sleeper.counted(metrics.FRONT_ARRIVED) == CALLERS
