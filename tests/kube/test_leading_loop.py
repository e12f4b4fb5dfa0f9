"""The loop of a controller: who leads looks, in time, and one object's fault is no other's."""

import logging
import threading

import pytest

from headrace.contract.errors import TemporaryError
from headrace.kube.fake_leases import FakeLeases
from headrace.kube.leading_loop import STUCK_SECONDS, LeadingLoop, surviving
from headrace.kube.lease import Elector


class Looks(LeadingLoop):
    """Counts its looks, and stops after the third."""

    def __init__(self, leases: FakeLeases, identity: str = "one", *, synced: bool = True) -> None:
        self.now = 0.0
        self.elector = Elector(leases, identity, "system", "lease")
        super().__init__(
            self.elector, period=0.01, synced=lambda: synced, wall=lambda: self.now, monotonic=lambda: self.now
        )
        self.led: list[bool] = []
        self.woken = threading.Event()

    def tick(self) -> None:
        self.now += 1.0
        self.led.append(self.leads())
        if len(self.led) == 3:
            self.stop()

    def wake(self) -> None:
        self.woken.set()
        self.stop()


def test_it_looks_until_it_is_stopped_and_gives_the_lease_up() -> None:
    leases = FakeLeases()
    loop = Looks(leases)

    loop.run()

    assert loop.led == [True, True, True]
    assert Looks(leases, "two").leads()  # at once: nothing has to run out


def test_who_has_not_read_everything_neither_leads_nor_is_ready() -> None:
    loop = Looks(FakeLeases(), synced=False)

    assert not loop.leads()
    assert loop.ready() == (False, "reading")
    assert Looks(FakeLeases()).ready() == (True, "standing by")


def test_who_is_roused_wakes_before_the_next_look() -> None:
    loop = Looks(FakeLeases())
    loop._period = 3600.0
    loop.rouse()

    loop.run()

    assert loop.woken.is_set()
    assert len(loop.led) == 1


def test_a_loop_that_has_not_turned_for_a_minute_does_not_live() -> None:
    loop = Looks(FakeLeases())
    loop.leads()
    loop.now += STUCK_SECONDS - 1
    assert loop.alive()[0]

    loop.now += 1

    assert loop.alive() == (False, "loop turned 60 s ago")


@pytest.mark.parametrize("error", [TemporaryError("away"), KeyError("surprise")])
def test_what_goes_wrong_with_one_object_is_logged_and_passes(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING), surviving(("space", "name")):
        raise error

    (record,) = caplog.records
    assert "space/name" in record.getMessage()
    assert (record.exc_info is not None) == isinstance(error, KeyError)
