"""A watched copy on an API server that lists, watches, fails and comes back."""

from collections.abc import Iterator
from typing import Any

import pytest

from headrace.machinery.api_server import Object, named
from headrace.machinery.mirror import Mirror, whole


def mirror_names(mirror: Mirror[Object]) -> set[str]:
    return {item["metadata"]["name"] for item in mirror.all()}


PATH = "/apis/discovery.k8s.io/v1/endpointslices"


@pytest.fixture
def mirror(api: Any) -> Iterator[Mirror[Object]]:
    api.put(PATH, "one")
    api.put(PATH, "two")
    mirror = Mirror(api.client(), PATH, kept=whole)
    mirror.start()
    yield mirror
    mirror.stop()


def test_a_mirror_shows_every_page_of_the_list_then_follows_the_watch(
    api: Any, mirror: Mirror[Object], until: Any
) -> None:
    until(lambda: mirror.synced and PATH in api.watches, "list and watch")
    assert mirror_names(mirror) == {"one", "two"}
    api.put(PATH, "three")
    api.delete(PATH, "one")
    until(lambda: mirror_names(mirror) == {"two", "three"}, "events applied")


def test_a_group_is_the_same_tuple_until_one_of_it_changes(api: Any, mirror: Mirror[Object], until: Any) -> None:
    until(lambda: mirror.synced and PATH in api.watches, "list and watch")
    group = named(mirror.all()[0])
    one, none = mirror.of(group), mirror.of(("nowhere", "none"))

    assert mirror.of(group) is one
    assert none == ()

    api.put(PATH, group[1])
    until(lambda: mirror.of(group) is not one, "event applied")
    assert len(mirror.of(group)) == 1


def test_an_api_server_that_goes_away_leaves_the_copy_as_it_was(api: Any, mirror: Mirror[Object], until: Any) -> None:
    until(lambda: PATH in api.watches, "watch")
    api.down = True
    api.end_watches()
    api.objects[PATH].pop("one")
    until(lambda: api.refused > 1, "tried again in vain")
    assert mirror.synced
    assert mirror_names(mirror) == {"one", "two"}
    api.down = False
    until(lambda: mirror_names(mirror) == {"two"}, "listed again after the outage")


def test_a_watch_that_is_too_old_ends_in_a_fresh_list(api: Any, mirror: Mirror[Object], until: Any) -> None:
    until(lambda: PATH in api.watches, "watch")
    api.objects[PATH].pop("one")
    api.tell(PATH, {"type": "ERROR", "object": {"code": 410, "message": "too old"}})
    until(lambda: mirror_names(mirror) == {"two"}, "relist")


def test_nothing_is_synced_before_the_kind_exists(api: Any, until: Any) -> None:
    mirror = Mirror(api.client(), "/apis/none", kept=whole)
    mirror.start()
    api.objects["/apis/none"] = {}
    until(lambda: mirror.synced, "synced once the list succeeds")
    mirror.stop()


def test_a_group_holds_its_own_objects_and_whoever_asks_is_told_of_changes_and_failures(api: Any, until: Any) -> None:
    api.put(PATH, "one", namespace="a")
    told = {"changes": 0, "failures": 0}

    def count(what: str) -> None:
        told[what] += 1

    mirror = Mirror(
        api.client(),
        PATH,
        kept=whole,
        group=lambda item: item["metadata"]["namespace"],
        changed=lambda: count("changes"),
        failed=lambda: count("failures"),
    )
    mirror.start()
    until(lambda: mirror.synced and PATH in api.watches, "list and watch")
    assert told == {"changes": 1, "failures": 0}
    api.put(PATH, "two", namespace="b")
    until(lambda: len(mirror.of("b")) == 1, "event applied")
    assert [item["metadata"]["name"] for item in mirror.of("a")] == ["one"]
    api.delete(PATH, "two")
    until(lambda: mirror.of("b") == (), "deletion applied")
    until(lambda: told["changes"] == 3, "told of both")
    api.down = True
    api.end_watches()
    until(lambda: told["failures"] > 0, "told of the outage")
    mirror.stop()


def test_only_what_is_read_is_kept(api: Any, until: Any) -> None:
    listed = api.put(PATH, "one", spec={"large": True}, status={"phase": "Running"})
    listed["metadata"]["managedFields"] = [{"manager": "kubelet"}]
    mirror = Mirror(api.client(), PATH, kept=lambda item: {name: item[name] for name in ("metadata", "status")})
    mirror.start()
    until(lambda: mirror.synced and PATH in api.watches, "list and watch")
    api.put(PATH, "two", spec={"large": True}, status={"phase": "Pending"})
    until(lambda: len(mirror.all()) == 2, "event applied")
    mirror.stop()

    assert {item["status"]["phase"] for item in mirror.all()} == {"Running", "Pending"}
    assert not any("spec" in item or "managedFields" in item["metadata"] for item in mirror.all())
