"""Stories of rollouts, as the engine decides them. Sent requests are counted; nobody waits."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest

from headrace.contract.codec import decode, encode
from headrace.contract.rollout import Command, Phase, Rollout
from headrace.routing.rollout.engine import Compared, Decision, Memory, Observation, VersionCounters, decide

SPEC = Rollout(steps=(10, 50), bake_seconds=30, start_seconds=60)
BOUNDS = (10.0, 100.0, 1000.0)


@dataclass
class Story:
    """A rollout under 100 requests a second, looked at every two seconds."""

    spec: Rollout = SPEC
    now: float = 1000.0
    memory: Memory = field(default_factory=Memory)
    new: VersionCounters = field(default_factory=lambda: VersionCounters(within=(0.0,) * 3))
    former: VersionCounters = field(default_factory=lambda: VersionCounters(within=(0.0,) * 3))
    compared: Compared = field(default_factory=Compared)
    ready: tuple[int, int] = (1, 3)
    asked: Command = Command.NONE
    decisions: list[Decision] = field(default_factory=list)

    @property
    def last(self) -> Decision:
        return self.decisions[-1]

    def look(self, **seen: object) -> Decision:
        observation = Observation(
            taken_at=self.now,
            new_ready=self.ready[0],
            former_ready=self.ready[1],
            new=self.new,
            former=self.former,
            bounds_milliseconds=BOUNDS,
            compared=self.compared,
            asked=self.asked,
        )
        decision, self.memory = decide(self.spec, replace(observation, **seen), self.memory, self.now)
        self.decisions.append(decision)
        return decision

    def goes_on(
        self, seconds: float, *, errors: float = 0.0, slow: float = 0.0, changed: float = 0.0, requests: float = 200
    ) -> Decision:
        """Of the new version's requests, shares that are bad. Fractions of a request add up over looks."""
        end = self.now + seconds
        while self.now < end and not (self.decisions and self.last.phase.is_final):
            share = self.decisions[-1].weight / 100 if self.decisions else 0.0
            self.new = grown(self.new, requests * share, errors=errors, slow=slow)
            self.former = grown(self.former, requests * (1 - share))
            self.compared = Compared(
                answers=self.compared.answers + requests * share,
                changed=self.compared.changed + requests * share * changed,
            )
            self.look()
            self.now += 2
        return self.last

    def codes(self) -> list[str]:
        """Codes of the first reasons, repetitions left out."""
        codes = [decision.reasons[0].code for decision in self.decisions]
        return [code for index, code in enumerate(codes) if index == 0 or code != codes[index - 1]]


def grown(counters: VersionCounters, requests: float, *, errors: float = 0.0, slow: float = 0.0) -> VersionCounters:
    first, second, third = counters.within
    quick = requests * (1 - slow)
    return VersionCounters(
        requests=counters.requests + requests,
        errors=counters.errors + requests * errors,
        timed=counters.timed + requests,
        within=(first + quick * 0.6, second + quick, third + requests),
    )


def begun(spec: Rollout = SPEC) -> Story:
    """A rollout whose new version has just got its first share."""
    story = Story(spec=spec, ready=(0, 3))
    story.goes_on(10)
    story.ready = (1, 3)
    story.goes_on(2)
    assert (story.last.phase, story.last.weight) == (Phase.PROGRESSING, spec.steps[0])
    return story


def test_a_good_version_goes_through_every_step() -> None:
    story = begun()
    story.goes_on(300)

    assert (story.last.phase, story.last.weight) == (Phase.COMPLETED, 100)
    weights = [decision.weight for decision in story.decisions]
    assert sorted(set(weights)) == [0, 10, 50, 100]
    assert weights == sorted(weights)
    assert story.codes() == ["WaitingForPod", "StepStarted", "Baking", "StepStarted", "Baking", "GatesPassed"]
    assert story.now - 1000 >= 10 + 2 * 30


@pytest.mark.parametrize(
    ("fault", "code", "words"),
    [
        ({"errors": 0.05}, "ErrorRate", "failed; of the former version's 0 of"),
        ({"slow": 0.2}, "Latency", "took longer than all but one in a hundred of the former version's"),
    ],
)
def test_a_bad_version_is_taken_back_with_the_numbers(fault: dict[str, float], code: str, words: str) -> None:
    story = begun()
    story.goes_on(100, **fault)

    assert (story.last.phase, story.last.weight) == (Phase.ROLLED_BACK, 0)
    (reason,) = story.last.reasons
    assert reason.code == code
    assert words in reason.message
    assert "Failed" in {gate.verdict for gate in story.last.gates}
    assert story.new.requests < 500


def test_predictions_are_judged_where_that_is_asked_for() -> None:
    unjudged = begun()
    unjudged.goes_on(300, changed=0.1)
    judged = begun(replace(SPEC, changed_percent=1.0))
    judged.goes_on(100, changed=0.1)

    assert unjudged.last.phase is Phase.COMPLETED
    assert (judged.last.phase, judged.last.reasons[0].code) == (Phase.ROLLED_BACK, "Predictions")
    assert "were predicted otherwise, allowed are 1 %" in judged.last.reasons[0].message


def test_a_fault_that_begins_late_is_found_too() -> None:
    """Evidence begins anew with each step: what was good at a tenth does not excuse what fails at a half."""
    story = begun()
    story.goes_on(32)
    assert story.last.weight == 50
    answered = story.new.requests
    story.goes_on(100, errors=0.05)

    assert story.last.phase is Phase.ROLLED_BACK
    assert story.new.requests - answered < 700


def test_few_requests_neither_pass_nor_fail() -> None:
    story = begun()
    story.goes_on(600, requests=0.2)  # six requests an hour reach the new version

    assert (story.last.phase, story.last.weight) == (Phase.PROGRESSING, 10)
    assert story.last.reasons[0].code == "TooFewRequests"
    story.goes_on(300, requests=200)
    assert story.last.phase is Phase.COMPLETED


def test_without_counters_nothing_moves() -> None:
    story = begun()
    for _ in range(100):
        story.now += 2
        decision = story.look(new=None)
    assert (decision.phase, decision.weight, decision.reasons[0].code) == (Phase.PROGRESSING, 10, "NoData")


def test_counters_that_begin_anew_are_no_evidence() -> None:
    story = begun()
    story.goes_on(10)
    story.new = VersionCounters(requests=3, errors=3, timed=3, within=(3.0, 3.0, 3.0))
    assert story.look().reasons[0].code == "NoData"
    story.goes_on(300)
    assert story.last.phase is Phase.COMPLETED


def test_the_first_version_has_nothing_to_be_compared_with() -> None:
    story = Story(ready=(0, 0))
    assert story.look().phase is Phase.WAITING
    story.ready = (1, 0)
    assert (story.look().phase, story.last.weight, story.last.reasons[0].code) == (
        Phase.COMPLETED,
        100,
        "FirstVersion",
    )


def test_a_version_that_does_not_start_is_given_up_and_may_be_tried_again() -> None:
    story = Story(ready=(0, 3))
    story.goes_on(70)
    assert (story.last.phase, story.last.reasons[0].code) == (Phase.ROLLED_BACK, "NotReady")
    story.ready = (1, 3)
    assert story.look().phase is Phase.ROLLED_BACK, "a person must ask"
    story.asked = Command.RETRY
    story.look()
    assert (story.last.phase, story.last.weight) == (Phase.PROGRESSING, 10)


def lost_new(story: Story) -> None:
    story.ready = (0, 3)


def lost_former(story: Story) -> None:
    story.ready = (1, 0)


@pytest.mark.parametrize(
    ("lose", "phase", "code"),
    [(lost_new, Phase.ROLLED_BACK, "PodsLost"), (lost_former, Phase.COMPLETED, "FormerVersionGone")],
)
def test_a_version_without_pods_for_long_loses(lose: Callable[[Story], None], phase: Phase, code: str) -> None:
    story = begun()
    before = story.ready
    lose(story)
    story.goes_on(20)
    assert story.last.phase is Phase.PROGRESSING, "a pod may move to another node"
    story.ready = before
    story.goes_on(2)
    lose(story)
    story.goes_on(60)
    assert (story.last.phase, story.last.reasons[0].code) == (phase, code)


def test_a_person_pauses_resumes_and_aborts() -> None:
    story = begun()
    story.asked = Command.PAUSE
    story.goes_on(300)
    assert (story.last.phase, story.last.weight, story.last.reasons[0].code) == (Phase.PAUSED, 10, "Paused")
    story.asked = Command.RESUME
    story.goes_on(2)
    assert story.last.weight == 50
    story.asked = Command.ABORT
    story.goes_on(2)
    assert (story.last.phase, story.last.weight, story.last.reasons[0].code) == (Phase.ROLLED_BACK, 0, "Aborted")


def test_a_pause_protects_no_bad_version() -> None:
    story = begun()
    story.asked = Command.PAUSE
    story.goes_on(200, errors=0.2)
    assert story.last.phase is Phase.ROLLED_BACK


def test_another_replica_goes_on_from_what_the_object_holds() -> None:
    story, other = begun(), begun()
    for each in (story, other):
        each.goes_on(20, errors=0.01)
    other.memory = decode(Memory, encode(other.memory))
    for each in (story, other):
        each.goes_on(200, errors=0.05)

    assert other.memory == story.memory
    assert other.decisions[-1] == story.decisions[-1]
