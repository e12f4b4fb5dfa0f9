"""Looks recorded under many loads are decided as they were."""

import json
import lzma
import math
from typing import Any

import pytest
from record_decisions import DIGITS, FILE, STORIES, Look

from headrace.autoscaler.engine import Decision, Learned, Memory, Observation, Profile, decide, decode
from headrace.contract.apa import AutoscalerSpec

ALIKE = 10.0 ** (2 - DIGITS)
"""Relative difference of two recorded numbers that are the same, whatever mathematical library a machine has."""


@pytest.fixture(scope="module")
def stories() -> dict[str, list[Look]]:
    """Looks by story."""
    found: dict[str, list[Look]] = {}
    with lzma.open(FILE, "rt", encoding="utf-8") as file:
        for line in map(json.loads, file):
            if "story" in line:
                looks = found[line["story"]] = []
            else:
                looks.append(line)
    return found


def _facts(decision: Decision) -> dict[str, Any]:
    """All that is decided and said; numbers that led there are compared with a tolerance."""
    return {name: getattr(decision, name) for name in Decision.__dataclass_fields__ if name != "inputs"}


@pytest.mark.parametrize("name", STORIES)
def test_decisions_are_those_of_the_record(stories: dict[str, list[Look]], name: str) -> None:
    spec, memory = AutoscalerSpec(target="v1"), Memory()
    for number, look in enumerate(stories[name]):
        if "profile" in look:
            memory = Memory(learned=Learned(profile=decode(Profile, look["profile"])))
        if "spec" in look:
            spec = AutoscalerSpec.from_json(look["spec"])
        was = decode(Decision, look["decision"])

        decision, memory = decide(spec, decode(Observation, look["observation"]), memory, was.at)

        assert _facts(decision) == _facts(was), f"look {number}"
        assert set(decision.inputs) == set(was.inputs)
        for key, value in decision.inputs.items():
            assert math.isclose(value, was.inputs[key], rel_tol=ALIKE, abs_tol=ALIKE), f"look {number}: {key}"


def test_every_story_is_in_the_record(stories: dict[str, list[Look]]) -> None:
    assert set(stories) == set(STORIES)
    assert sum(map(len, stories.values())) > 5000
