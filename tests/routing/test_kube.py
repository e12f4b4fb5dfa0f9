"""The control plane's view of an API server that lists, watches, fails and comes back."""

from collections.abc import Iterator
from typing import Any

import pytest

from headrace.routing import kube


def mirror_names(mirror: kube.Mirror) -> set[str]:
    return {item["metadata"]["name"] for item in mirror.objects()}


PATH = kube.ENDPOINT_SLICES


@pytest.fixture
def mirror(api: Any) -> Iterator[kube.Mirror]:
    api.put(PATH, "one")
    api.put(PATH, "two")
    mirror = kube.Mirror(api.client(), PATH, lambda: None)
    mirror.start()
    yield mirror
    mirror.stop()


def test_a_mirror_shows_every_page_of_the_list_then_follows_the_watch(
    api: Any, mirror: kube.Mirror, until: Any
) -> None:
    until(lambda: mirror.synced and PATH in api.watches, "list and watch")
    assert mirror_names(mirror) == {"one", "two"}
    api.put(PATH, "three")
    api.delete(PATH, "one")
    until(lambda: mirror_names(mirror) == {"two", "three"}, "events applied")


def test_an_api_server_that_goes_away_leaves_the_copy_as_it_was(api: Any, mirror: kube.Mirror, until: Any) -> None:
    until(lambda: PATH in api.watches, "watch")
    api.down = True
    api.end_watches()
    api.objects[PATH].pop("one")
    until(lambda: api.refused > 1, "tried again in vain")
    assert mirror.synced
    assert mirror_names(mirror) == {"one", "two"}
    api.down = False
    until(lambda: mirror_names(mirror) == {"two"}, "listed again after the outage")


def test_a_watch_that_is_too_old_ends_in_a_fresh_list(api: Any, mirror: kube.Mirror, until: Any) -> None:
    until(lambda: PATH in api.watches, "watch")
    api.objects[PATH].pop("one")
    api.tell(PATH, {"type": "ERROR", "object": {"code": 410, "message": "too old"}})
    until(lambda: mirror_names(mirror) == {"two"}, "relist")


def test_nothing_is_synced_before_the_kind_exists(api: Any, until: Any) -> None:
    mirror = kube.Mirror(api.client(), "/apis/none", lambda: None)
    mirror.start()
    api.objects["/apis/none"] = {}
    until(lambda: mirror.synced, "synced once the list succeeds")
    mirror.stop()


def test_issuer_keys_are_kept_when_they_cannot_be_read_any_more(api: Any, until: Any) -> None:
    api.documents["/.well-known/openid-configuration"] = {"issuer": "https://issuer.test"}
    api.documents["/openid/v1/jwks"] = {"keys": [{"kid": "one"}]}
    keys = kube.IssuerKeys(api.client(), lambda: None, period_seconds=0.02)
    keys.start()
    until(lambda: keys.found is not None, "keys read")
    api.down = True
    until(lambda: api.refused > 1, "tried again in vain")
    assert keys.found == ("https://issuer.test", {"keys": [{"kid": "one"}]})
    api.down = False
    api.documents["/openid/v1/jwks"] = {"keys": []}
    assert keys.found == ("https://issuer.test", {"keys": [{"kid": "one"}]})
    api.documents["/openid/v1/jwks"] = {"keys": [{"kid": "two"}]}
    until(lambda: keys.found == ("https://issuer.test", {"keys": [{"kid": "two"}]}), "rotated keys read")
    keys.stop()
