"""What `headrace doctor` says of what it sees."""

import datetime
from typing import Any

import pytest

from headrace.cli import checkup
from headrace.cli.checkup import Verdict
from headrace.components.platform.certificate import new_authority

NOW = datetime.datetime(2026, 11, 30, tzinfo=datetime.UTC)


@pytest.mark.parametrize(
    ("version", "verdict"),
    [("v1.36.3", Verdict.WELL), ("v1.31.4-eks-2d5f260", Verdict.WELL), ("v1.29.9+k3s1", Verdict.WRONG)],
)
def test_an_old_cluster_is_named(version: str, verdict: Verdict) -> None:
    assert checkup.kubernetes_version(version).verdict is verdict


def a_node(**states: str) -> dict[str, Any]:
    conditions = [{"type": kind, "status": status, "message": "said so"} for kind, status in states.items()]
    return {"metadata": {"name": "n1"}, "status": {"conditions": conditions}}


@pytest.mark.parametrize(
    ("item", "sentence"),
    [
        (a_node(Ready="True", DiskPressure="False"), "node n1 is ready"),
        (a_node(Ready="Unknown"), "node n1 is not ready: said so"),
        (a_node(Ready="True", DiskPressure="True", MemoryPressure="False"), "node n1 has DiskPressure"),
    ],
)
def test_a_node_is_judged_by_its_conditions(item: dict[str, Any], sentence: str) -> None:
    assert checkup.node(item).sentence == sentence


@pytest.mark.parametrize(("ahead", "verdict"), [(0.0, Verdict.WELL), (-29.0, Verdict.WELL), (45.0, Verdict.WRONG)])
def test_clocks_that_differ_are_told(ahead: float, verdict: Verdict) -> None:
    assert checkup.clock(ahead).verdict is verdict


def test_a_certificate_is_told_before_it_ends() -> None:
    pem = new_authority(NOW).certificate
    assert checkup.certificate(pem, NOW).verdict is Verdict.WELL
    late = NOW + datetime.timedelta(days=3650 - 10)
    assert checkup.certificate(pem, late).verdict is Verdict.WRONG


def test_whatever_is_not_well_has_a_remedy() -> None:
    for finding in (checkup.kubernetes_version("v1.2.3"), checkup.node(a_node()), checkup.clock(99)):
        assert finding.verdict is Verdict.WRONG
        assert finding.remedy
