"""A rollout as an input: what the object is told, what the update waits for, and how it ends."""

import asyncio
from typing import Any

import pytest
from stand_ins import DELIVERY

from headrace.components import ModelEndpoint
from headrace.components.endpoint import endpoint_rollout
from headrace.components.endpoint.endpoint_rollout import require_rolled_out, settled_rollout, when_over
from headrace.components.kubernetes.checks import ArgsError
from headrace.components.testing import record
from headrace.contract.rollout import Rollout

pytestmark = pytest.mark.usefixtures("stand_in_images")

REF: Any = {
    "namespace": "headrace-system",
    "url": "https://models.example",
    "image_delivery": DELIVERY,
    "image_base": {},
}


def made(**args: Any) -> Any:
    given: Any = {"platform": REF, "model_uri": "models:/fraud/7", **args}
    return record(lambda: ModelEndpoint("fraud", given)).named("fraud-endpoint")


def status(phase: str, version: str = "v7", **told: Any) -> dict[str, Any]:
    rollout = {
        "version": version,
        "former": "v6",
        "phase": phase,
        "weight": 5,
        "reason": "ErrorRate",
        "message": "12 of 240 requests failed",
    }
    return {"rollout": {**rollout, **told}}


def test_without_one_the_object_is_as_before() -> None:
    assert "rollout" not in made().inputs["spec"]


def test_an_empty_one_has_sensible_defaults() -> None:
    found = made(rollout={}, start_seconds=100)

    assert found.inputs["spec"]["rollout"] == {
        "steps": [5, 25, 50],
        "bakeSeconds": 60.0,
        "startSeconds": 160.0,
        "waitSeconds": 160.0 + 3 * 660,
        "errorMarginPercent": 0.5,
        "slowMarginPercent": 0.5,
    }


def test_what_is_given_is_kept() -> None:
    rollout = settled_rollout(Rollout(start_seconds=5, wait_seconds=7), start_seconds=100)

    assert (rollout.start_seconds, rollout.wait_seconds) == (5, 7)


@pytest.mark.parametrize(
    ("rollout", "sentence"),
    [
        ({"steps": [50, 5]}, "rollout.steps = [50, 5], must rise from each to the next; sort them and give each share"),
        ({"steps": [0]}, "rollout.steps[0] = 0, must be at least 1"),
        ({"steps": []}, "rollout.steps has 0 items, must have at least 1"),
        ({"bake_second": 1}, "rollout.bake_second is unknown"),
        ({"error_margin_percent": 101}, "rollout.error_margin_percent = 101, must be at most 100"),
    ],
)
def test_what_cannot_be_followed_is_told_before_anything_is_made(rollout: Any, sentence: str) -> None:
    with pytest.raises(ArgsError) as caught:
        made(rollout=rollout)

    assert sentence in str(caught.value)


def waited(first: Any, *later: Any, wait_seconds: float = 100.0) -> tuple[Any, int]:
    """What came of it, and how often the status was read again."""
    numbers: list[int] = []

    async def read_again(number: int) -> Any:
        numbers.append(number)
        return later[number - 1]

    found = asyncio.run(when_over(first, read_again, version="v7", wait_seconds=wait_seconds))
    assert numbers == list(range(1, len(numbers) + 1))
    return found, len(numbers)


@pytest.mark.usefixtures("hurried")
def test_the_status_is_read_until_that_version_has_settled() -> None:
    before, meanwhile = status("Completed", version="v6", settled="v6"), status("Progressing", settled="v6")
    after = status("RolledBack", settled="v7")

    assert waited({"conditions": []}, before, meanwhile, meanwhile, after) == (after, 4)
    assert waited(after) == (after, 0)
    assert waited(meanwhile, wait_seconds=0) == (meanwhile, 0)
    assert waited(None) == (None, 0)


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """No pause between readings."""
    monkeypatch.setattr(endpoint_rollout, "_FIRST_SECONDS", 0.0)


def test_the_end_is_told() -> None:
    told = require_rolled_out(
        status("Completed", message="every step passed its gates"), endpoint="fraud", version="v7"
    )

    assert told == "Rolled out: v7 has all requests (every step passed its gates)"


@pytest.mark.parametrize(
    ("found", "sentence"),
    [
        (
            status("RolledBack"),
            "ModelEndpoint 'fraud': version v7 was taken back, ErrorRate: 12 of 240 requests failed; version v6 "
            "serves; name another model_uri, or try again with headrace rollout fraud retry",
        ),
        (
            status("Progressing", message="25 s of the step are left"),
            "ModelEndpoint 'fraud': the rollout of version v7 goes on (25 s of the step are left): what served before "
            "is kept; run pulumi up again later, headrace rollout fraud shows it",
        ),
        (status("Completed", version="v6"), "the rollout of version v7 has not begun"),
        ({"conditions": []}, "the rollout of version v7 has not begun"),
    ],
)
def test_an_update_fails_unless_the_rollout_ended_well(found: Any, sentence: str) -> None:
    with pytest.raises(ArgsError) as caught:
        require_rolled_out(found, endpoint="fraud", version="v7")

    assert sentence in str(caught.value)
