"""Which endpoints of a stack get which versions from another."""

import datetime
from pathlib import Path
from typing import Any

import pytest
from attestations import IMAGE, attestation

from headrace.contract.errors import InputError
from headrace.stacks.promotion.envelope import new_key, signed
from headrace.stacks.promotion.gates import Gates
from headrace.stacks.promotion.plan import Step, plan

NOW = datetime.datetime(2026, 12, 1, tzinfo=datetime.UTC)
TARGET: list[dict[str, Any]] = [{"name": "churn", "model_uri": "m"}, {"name": "fraud", "model_uri": "models:/fraud/6"}]


class Staging:
    """A stack with a key, and what it signed."""

    def __init__(self, folder: Path) -> None:
        self.key = new_key()
        (folder / "key.pem").write_text(self.key.private)
        self._uri = f"file:{folder}/key.pem"

    def signs(self, **changes: Any) -> str:
        return signed(attestation(**changes), self._uri)

    def plan(
        self, evidence: dict[str, str], target: list[dict[str, Any]] = TARGET, *, wanted: dict[str, str] | None = None
    ) -> list[Step]:
        return plan(evidence, target, Gates(trusted_keys=(self.key.public,)), wanted or {}, NOW)


@pytest.fixture
def staging(tmp_path: Path) -> Staging:
    return Staging(tmp_path)


def test_an_endpoint_of_both_stacks_gets_the_pinned_model_and_its_evidence(staging: Staging) -> None:
    envelope = staging.signs()
    (step,) = staging.plan({"fraud": envelope, "only-there": envelope})
    assert (step.endpoint, step.position, step.faults) == ("fraud", 1, ())
    assert step.settings() == {"model_uri": "models:/fraud/7", "evidence": envelope}
    assert step.changes["image"] == ("", IMAGE)


def test_an_endpoint_may_have_another_name_there(staging: Staging) -> None:
    (step,) = staging.plan({"fraud-next": staging.signs()}, wanted={"fraud-next": "fraud"})
    assert step.endpoint == "fraud"


def test_what_serves_already_is_no_change(staging: Staging) -> None:
    envelope = staging.signs()
    (step,) = staging.plan({"fraud": envelope}, [{**TARGET[1], "evidence": envelope}])
    assert (step.changes, step.faults) == ({}, ())


def test_evidence_of_a_stranger_is_a_fault_of_its_endpoint_alone(staging: Staging, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    stranger = Staging(tmp_path / "elsewhere")
    fraud, churn = staging.plan({"fraud": stranger.signs(), "churn": staging.signs()})
    assert "must be signed by a trusted key" in fraud.faults[0]
    assert churn.faults == ()
    assert fraud.document()["changes"] == {}


def test_every_name_that_a_stack_lacks_is_told_at_once(staging: Staging) -> None:
    with pytest.raises(InputError) as caught:
        staging.plan({"fraud": staging.signs()}, wanted={"fraud": "frod", "chrun": "churn"})
    assert len(caught.value.faults) == 2
    assert "chrun: the stack before has fraud, must have chrun" in caught.value.faults[0]


def test_stacks_without_a_common_endpoint_are_told_how_to_name_two(staging: Staging) -> None:
    with pytest.raises(InputError, match="name some as OLD=NEW"):
        staging.plan({"other": staging.signs()})
