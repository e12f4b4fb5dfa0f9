"""Keys of issuers that fail and come back, each in its own time."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from issuer_server import IssuerServer
from patience import eventually

from headrace.contract.errors import TemporaryError
from headrace.contract.trusted_issuer import TrustedIssuer
from headrace.routing.ads import telemetry
from headrace.routing.ads.issuer_documents import IssuerDocuments, cluster_documents
from headrace.routing.ads.issuer_keys import FIRST_TRIES, IssuerKeys


@pytest.fixture
def watch() -> Iterator[Callable[..., IssuerKeys]]:
    started: list[IssuerKeys] = []

    def start(name: str, read: Callable[[], Any], changed: Callable[[], None] = lambda: None) -> IssuerKeys:
        started.append(IssuerKeys(name, read, changed, period_seconds=0.02))
        started[-1].start()
        return started[-1]

    yield start
    for keys in started:
        keys.stop()


def age_of(name: str) -> float:
    """When its keys were last read, as the metric says."""
    samples = [sample for metric in telemetry.keys_age_seconds.collect() for sample in metric.samples]
    return next(sample.value for sample in samples if sample.labels["issuer"] == name)


def test_issuer_keys_are_kept_when_they_cannot_be_read_any_more(api: Any, watch: Any) -> None:
    api.documents["/.well-known/openid-configuration"] = {"issuer": "https://issuer.test"}
    api.documents["/openid/v1/jwks"] = {"keys": [{"kid": "one"}]}
    server = api.client()
    keys = watch("cluster", lambda: cluster_documents(server))
    eventually(lambda: keys.found is not None, "keys read")
    api.down = True
    eventually(lambda: api.refused > 1, "tried again in vain")
    assert keys.found == ("https://issuer.test", {"keys": [{"kid": "one"}]})
    api.down = False
    api.documents["/openid/v1/jwks"] = {"keys": []}
    assert keys.found == ("https://issuer.test", {"keys": [{"kid": "one"}]})
    api.documents["/openid/v1/jwks"] = {"keys": [{"kid": "two"}]}
    eventually(lambda: keys.found == ("https://issuer.test", {"keys": [{"kid": "two"}]}), "rotated keys read")


def test_one_issuer_that_is_away_gets_old_and_another_stays_young(watch: Any) -> None:
    well, ill = IssuerServer(), IssuerServer()
    try:
        of_well, of_ill = (
            watch(server.issuer, IssuerDocuments(TrustedIssuer(issuer=server.issuer)).read) for server in (well, ill)
        )
        eventually(lambda: of_well.found and of_ill.found, "both were read")
        kept = of_ill.found
        ill.is_away = True
        count = len(ill.asked)
        eventually(lambda: len(ill.asked) > count + 2, "it is asked again and again")
        since = age_of(ill.issuer)
        well.rotate()
        eventually(lambda: len(of_well.found[1]["keys"]) == 2, "the other's new key is known meanwhile")
        eventually(lambda: age_of(well.issuer) > since, "and young")

        assert of_ill.found == kept
        assert age_of(ill.issuer) == since
    finally:
        well.stop()
        ill.stop()


def test_an_issuer_that_was_never_read_is_awaited_for_a_few_tries_and_its_age_is_told(watch: Any) -> None:
    tries, changes, goes_on = [], [], threading.Event()

    def read() -> Any:
        if len(tries) >= FIRST_TRIES - 1:
            goes_on.wait(30)
        tries.append(1)
        raise TemporaryError("away")

    keys = watch("https://away.test", read, lambda: changes.append(1))
    eventually(lambda: len(tries) == FIRST_TRIES - 1, "it failed")
    assert (keys.is_awaited, changes) == (True, [])
    assert age_of("https://away.test") > 0
    goes_on.set()
    eventually(lambda: changes == [1], "nothing waits for it any more")
    assert not keys.is_awaited
    assert keys.found is None
