"""Copies of several kinds: begun as one, synced when all are, ended as one."""

import threading
from typing import Any

from patience import eventually

from headrace.kube.informer import Informer, whole
from headrace.kube.watched import Watched

PATHS = ("/apis/discovery.k8s.io/v1/endpointslices", "/apis/apps/v1/deployments")


def informer_threads() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name.startswith("informer ")}


def test_it_is_synced_when_every_kind_was_read_and_ends_with_the_watches(api: Any) -> None:
    of_others = informer_threads()
    api.put(PATHS[0], "one")
    watched = Watched(*(Informer(api.client(), path, transform=whole) for path in PATHS))

    watched.start()
    eventually(lambda: PATHS[0] in api.watches, "the first kind is read")
    assert not watched.synced  # nobody knows the second kind yet

    api.put(PATHS[1], "one")
    eventually(lambda: watched.synced and PATHS[1] in api.watches, "all kinds are read")
    watched.stop()
    api.end_watches()

    eventually(lambda: not informer_threads() - of_others, "no thread is left")
