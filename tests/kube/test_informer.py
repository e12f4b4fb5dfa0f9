"""An informer on an API server that lists, watches, fails and comes back."""

from collections.abc import Iterator
from typing import Any

import pytest
from patience import eventually

from headrace.kube.api_server import Object, named
from headrace.kube.informer import Informer, whole


def names_in(informer: Informer[Object]) -> set[str]:
    return {item["metadata"]["name"] for item in informer.all()}


PATH = "/apis/discovery.k8s.io/v1/endpointslices"


@pytest.fixture
def informer(api: Any) -> Iterator[Informer[Object]]:
    api.put(PATH, "one")
    api.put(PATH, "two")
    informer = Informer(api.client(), PATH, transform=whole)
    informer.start()
    yield informer
    informer.stop()


def test_an_informer_shows_every_page_of_the_list_then_follows_the_watch(api: Any, informer: Informer[Object]) -> None:
    eventually(lambda: informer.synced and PATH in api.watches, "list and watch")
    assert names_in(informer) == {"one", "two"}
    api.put(PATH, "three")
    api.delete(PATH, "one")
    eventually(lambda: names_in(informer) == {"two", "three"}, "events applied")


def test_a_group_is_the_same_tuple_until_one_of_it_changes(api: Any, informer: Informer[Object]) -> None:
    eventually(lambda: informer.synced and PATH in api.watches, "list and watch")
    group = named(informer.all()[0])
    one, none = informer.of(group), informer.of(("nowhere", "none"))

    assert informer.of(group) is one
    assert none == ()

    api.put(PATH, group[1])
    eventually(lambda: informer.of(group) is not one, "event applied")
    assert len(informer.of(group)) == 1


def test_an_api_server_that_goes_away_leaves_the_copy_as_it_was(api: Any, informer: Informer[Object]) -> None:
    eventually(lambda: PATH in api.watches, "watch")
    api.down = True
    api.end_watches()
    api.objects[PATH].pop("one")
    eventually(lambda: api.refused > 1, "tried again in vain")
    assert informer.synced
    assert names_in(informer) == {"one", "two"}
    api.down = False
    eventually(lambda: names_in(informer) == {"two"}, "listed again after the outage")


def test_a_watch_that_is_too_old_ends_in_a_fresh_list(api: Any, informer: Informer[Object]) -> None:
    eventually(lambda: PATH in api.watches, "watch")
    api.objects[PATH].pop("one")
    api.tell(PATH, {"type": "ERROR", "object": {"code": 410, "message": "too old"}})
    eventually(lambda: names_in(informer) == {"two"}, "relist")


def test_nothing_is_synced_before_the_kind_exists(api: Any) -> None:
    informer = Informer(api.client(), "/apis/none", transform=whole)
    informer.start()
    api.objects["/apis/none"] = {}
    eventually(lambda: informer.synced, "synced once the list succeeds")
    informer.stop()


def test_a_group_holds_its_own_objects_and_whoever_asks_is_told_of_changes_and_failures(api: Any) -> None:
    api.put(PATH, "one", namespace="a")
    told = {"changes": 0, "failures": 0}

    def count(what: str) -> None:
        told[what] += 1

    informer = Informer(
        api.client(),
        PATH,
        transform=whole,
        group=lambda item: item["metadata"]["namespace"],
        changed=lambda: count("changes"),
        failed=lambda: count("failures"),
    )
    informer.start()
    eventually(lambda: informer.synced and PATH in api.watches, "list and watch")
    assert told == {"changes": 1, "failures": 0}
    api.put(PATH, "two", namespace="b")
    eventually(lambda: len(informer.of("b")) == 1, "event applied")
    assert [item["metadata"]["name"] for item in informer.of("a")] == ["one"]
    api.delete(PATH, "two")
    eventually(lambda: informer.of("b") == (), "deletion applied")
    eventually(lambda: told["changes"] == 3, "told of both")
    api.down = True
    api.end_watches()
    eventually(lambda: told["failures"] > 0, "told of the outage")
    informer.stop()


def test_only_what_is_read_is_kept(api: Any) -> None:
    listed = api.put(PATH, "one", spec={"large": True}, status={"phase": "Running"})
    listed["metadata"]["managedFields"] = [{"manager": "kubelet"}]
    informer = Informer(
        api.client(), PATH, transform=lambda item: {name: item[name] for name in ("metadata", "status")}
    )
    informer.start()
    eventually(lambda: informer.synced and PATH in api.watches, "list and watch")
    api.put(PATH, "two", spec={"large": True}, status={"phase": "Pending"})
    eventually(lambda: len(informer.all()) == 2, "event applied")
    informer.stop()

    assert {item["status"]["phase"] for item in informer.all()} == {"Running", "Pending"}
    assert not any("spec" in item or "managedFields" in item["metadata"] for item in informer.all())
