"""The controller's loop on a fake clock: a rollout from the object's change to its end, outages and other leaders."""

from collections.abc import Collection
from pathlib import Path

import pytest

from headrace.contract import names
from headrace.contract.errors import InputError
from headrace.contract.rollout import COMMAND_ANNOTATION
from headrace.kube.lease import Elector
from headrace.routing.rollout import journal
from headrace.routing.rollout.__main__ import replay_file
from headrace.routing.rollout.answer_comparer import Pair
from headrace.routing.rollout.balancer_counters import Counts
from headrace.routing.rollout.engine import Compared, VersionCounters
from headrace.routing.rollout.fake_cluster import FakeCluster
from headrace.routing.rollout.journal import Journal
from headrace.routing.rollout.reconcile import Reconciler
from headrace.routing.rollout.rollout_loop import Loop

BOUNDS = (10.0, 100.0)


class Traffic:
    """Sixty requests a second, split as the object says; the test sets which versions fail."""

    def __init__(self, cluster: FakeCluster) -> None:
        self.cluster = cluster
        self.failing: dict[str, float] = {}
        self.totals: dict[str, list[float]] = {}
        self.answers = True
        self.asked = 0

    def read(self, endpoint: str, balancers: Collection[str]) -> Counts | None:
        self.asked += 1
        told = self.cluster.objects[names.endpoint_namespace(endpoint), endpoint].get("status", {}).get("rollout")
        if not self.answers or not balancers:
            return None
        if told:
            for version, share in ((told["version"], told["weight"]), (told["former"], 100 - told["weight"])):
                total = self.totals.setdefault(version, [0.0, 0.0])
                total[0] += 1.2 * share
                total[1] += 1.2 * share * self.failing.get(version, 0.0)
        versions = {
            version: VersionCounters(requests=total, errors=bad, timed=total, within=(total * 0.7, total))
            for version, (total, bad) in self.totals.items()
        }
        return Counts(versions=versions, bounds_milliseconds=BOUNDS)

    def forget(self, keep: Collection[str]) -> None:
        pass


class Nobody:
    """Compares nothing, but what the test says."""

    def __init__(self) -> None:
        self.wanted: tuple[Pair, ...] = ()
        self.found = Compared()

    def want(self, pairs: Collection[Pair]) -> None:
        self.wanted = tuple(pairs)

    def total(self, endpoint: str, new: str) -> Compared:
        return self.found


class Controller:
    """One replica."""

    def __init__(self, cluster: FakeCluster, traffic: Traffic, *, identity: str = "one", journal: str = "") -> None:
        self.now = 1_000_000.0
        self.cluster = cluster
        self.elector = Elector(cluster, identity, names.SYSTEM_NAMESPACE, names.ROLLOUT)
        reconciler = Reconciler(cluster, Journal(journal))
        clock = {"wall": lambda: self.now, "monotonic": lambda: self.now}
        self.comparer = Nobody()
        self.loop = Loop(cluster, traffic, reconciler, self.elector, self.comparer, **clock)

    def goes_on(self, seconds: float) -> None:
        end = self.now + seconds
        while self.now < end:
            self.loop.tick()
            self.now += 2


@pytest.fixture
def cluster() -> FakeCluster:
    """v1 serves."""
    made = FakeCluster()
    made.add_endpoint("fraud", "v1", steps=[10, 50], bakeSeconds=20)
    made.ready["fraud", "v1"] = 2
    return made


@pytest.fixture
def traffic(cluster: FakeCluster) -> Traffic:
    return Traffic(cluster)


@pytest.fixture
def controller(cluster: FakeCluster, traffic: Traffic) -> Controller:
    """It has seen v1 settled, and v2 is named and ready."""
    made = Controller(cluster, traffic)
    made.goes_on(4)
    assert (cluster.rollout("fraud")["phase"], cluster.rollout("fraud")["settled"]) == ("Completed", "v1")
    cluster.add_endpoint("fraud", "v2", steps=[10, 50], bakeSeconds=20)
    made.goes_on(4)
    assert (cluster.rollout("fraud")["phase"], cluster.rollout("fraud")["former"]) == ("Waiting", "v1")
    cluster.ready["fraud", "v2"] = 1
    return made


def test_a_good_version_gets_all_traffic_and_the_object_tells_how(
    cluster: FakeCluster, controller: Controller, traffic: Traffic
) -> None:
    controller.goes_on(200)

    told = cluster.rollout("fraud")
    assert (told["phase"], told["weight"], told["settled"], told["serving"]) == ("Completed", 100, "v2", "v2")
    changes = [(event["phase"], event["weight"]) for event in told["events"]]
    assert changes[1:] == [("Waiting", 0), ("Progressing", 10), ("Progressing", 50), ("Completed", 100)]
    assert {gate["verdict"] for gate in told["gates"]} == {"Passed"}
    asked, writes = traffic.asked, cluster.writes
    controller.goes_on(100)
    assert (traffic.asked, cluster.writes) == (asked, writes), "nothing is asked or written of what has ended"


def test_a_bad_version_is_taken_back_and_the_object_says_why(
    cluster: FakeCluster, controller: Controller, traffic: Traffic
) -> None:
    traffic.failing["v2"] = 0.05
    controller.goes_on(200)

    told = cluster.rollout("fraud")
    assert (told["phase"], told["weight"], told["settled"], told["serving"]) == ("RolledBack", 0, "v2", "v1")
    assert told["reason"] == "ErrorRate"
    assert "requests (5.0 %) failed; of the former version's 0 of" in told["message"]
    controller.goes_on(20)
    assert cluster.rollout("fraud")["reason"] == "ErrorRate", "what it ended with stays"


def test_the_next_version_is_compared_with_what_serves_and_not_with_what_was_taken_back(
    cluster: FakeCluster, controller: Controller, traffic: Traffic
) -> None:
    traffic.failing["v2"] = 0.2
    controller.goes_on(100)
    cluster.add_endpoint("fraud", "v3", steps=[10], bakeSeconds=2)
    cluster.ready["fraud", "v3"] = 1
    controller.goes_on(6)

    assert (cluster.rollout("fraud")["version"], cluster.rollout("fraud")["former"]) == ("v3", "v1")


def test_going_back_to_what_serves_is_done_at_once(cluster: FakeCluster, controller: Controller) -> None:
    controller.goes_on(10)
    assert cluster.rollout("fraud")["weight"] == 10
    cluster.add_endpoint("fraud", "v1")
    controller.goes_on(2)

    told = cluster.rollout("fraud")
    assert (told["version"], told["phase"], told["weight"], told["settled"]) == ("v1", "Completed", 100, "v1")


def test_a_person_asks_by_an_annotation_of_that_version(cluster: FakeCluster, controller: Controller) -> None:
    annotations = cluster.objects["endpoint-fraud", "fraud"]["metadata"]["annotations"]
    annotations[COMMAND_ANNOTATION] = "abort v1"
    controller.goes_on(6)
    assert cluster.rollout("fraud")["phase"] == "Progressing", "what was asked of another version is void"
    annotations[COMMAND_ANNOTATION] = "pause v2"
    controller.goes_on(100)
    assert (cluster.rollout("fraud")["phase"], cluster.rollout("fraud")["weight"]) == ("Paused", 10)
    annotations[COMMAND_ANNOTATION] = "abort v2"
    controller.goes_on(2)
    assert (cluster.rollout("fraud")["phase"], cluster.rollout("fraud")["reason"]) == ("RolledBack", "Aborted")
    annotations[COMMAND_ANNOTATION] = "retry v2"
    controller.goes_on(4)
    assert (cluster.rollout("fraud")["phase"], cluster.rollout("fraud")["weight"]) == ("Progressing", 10)
    assert cluster.rollout("fraud")["settled"] == "", "what is tried again has not settled: an update waits for it"


def test_another_leader_goes_on_where_the_first_stopped(
    cluster: FakeCluster, controller: Controller, traffic: Traffic
) -> None:
    controller.goes_on(40)
    assert cluster.rollout("fraud")["weight"] == 50
    other = Controller(cluster, traffic, identity="two")
    other.now = controller.now
    other.goes_on(30)
    begun = [event for event in cluster.rollout("fraud")["events"] if event["weight"] == 10]
    assert len(begun) == 1, "the step before is not begun again"
    other.goes_on(100)
    assert cluster.rollout("fraud")["phase"] == "Completed"


def test_an_api_server_that_is_away_delays_the_word_and_spoils_nothing(
    cluster: FakeCluster, controller: Controller, traffic: Traffic
) -> None:
    controller.goes_on(4)
    traffic.failing["v2"] = 0.3
    cluster.down = True
    controller.goes_on(6)  # less than a leader may be without its lease
    assert cluster.rollout("fraud")["weight"] == 10
    cluster.down = False
    controller.goes_on(30)
    assert cluster.rollout("fraud")["phase"] == "RolledBack"


def test_balancers_that_do_not_answer_stop_the_rollout_where_it_is(
    cluster: FakeCluster, controller: Controller, traffic: Traffic
) -> None:
    controller.goes_on(4)
    traffic.answers = False
    controller.goes_on(300)
    told = cluster.rollout("fraud")
    assert (told["phase"], told["weight"], told["reason"]) == ("Progressing", 10, "NoData")


def test_predictions_are_compared_where_that_is_asked_for_and_only_meanwhile(
    cluster: FakeCluster, traffic: Traffic
) -> None:
    controller = Controller(cluster, traffic)
    controller.goes_on(4)
    cluster.add_endpoint("fraud", "v2", steps=[10], bakeSeconds=20, changedPercent=1)
    cluster.ready["fraud", "v2"] = 1
    controller.goes_on(6)
    (pair,) = controller.comparer.wanted
    assert (pair.endpoint, pair.new, len(pair.hosts)) == ("fraud", "v2", 2)
    for answers in range(20, 220, 20):
        controller.comparer.found = Compared(answers=answers, changed=answers / 10)
        controller.goes_on(2)

    told = cluster.rollout("fraud")
    assert (told["phase"], told["reason"]) == ("RolledBack", "Predictions")
    assert "were predicted otherwise, allowed are 1 %" in told["message"]
    controller.goes_on(2)
    assert controller.comparer.wanted == ()


def test_a_journal_is_decided_again_alike_and_under_another_spec(
    cluster: FakeCluster, traffic: Traffic, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "journal"
    controller = Controller(cluster, traffic, journal=str(path))
    controller.goes_on(4)
    cluster.add_endpoint("fraud", "v2", steps=[10, 50], bakeSeconds=20)
    cluster.ready["fraud", "v2"] = 1
    traffic.failing["v2"] = 0.05
    controller.goes_on(200)
    steps = journal.replay(journal.read(path))
    lenient = journal.replay(journal.read(path), spec={"errorMarginPercent": 10})

    assert cluster.rollout("fraud")["phase"] == "RolledBack"
    assert [step.was for step in steps] == [step.would for step in steps]
    assert "RolledBack" not in {step.would.phase for step in lenient}
    replay_file(path, '{"errorMarginPercent": 10}')
    told = capsys.readouterr().out
    assert "endpoint-fraud/fraud" in told
    assert f"{len(steps)} looks, " in told
    with pytest.raises(InputError, match="--spec: 'nonsense' is not JSON"):
        replay_file(path, "nonsense")


def test_a_journal_that_cannot_be_read_says_which_line(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    path.write_text('{"format": 1}\nnonsense\n')
    with pytest.raises(InputError, match="line 1 is not a look of a journal"):
        list(journal.read(path))
