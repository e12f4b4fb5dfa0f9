"""Informer: a cache of one kind of object, filled by a list and kept by a watch; after any failure it lists again."""

import logging
import random
import threading
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from headrace.contract.errors import TemporaryError
from headrace.kube.api_server import WATCH_SECONDS, ApiServer, Gone, Object, named

log = logging.getLogger(__name__)

T = TypeVar("T")
"""What `transform` makes of an object, and the informer holds."""

RELIST_SECONDS = 600
"""Seconds between two full lists at most, so that an event that a watch lost is found."""


def whole(item: Object) -> Object:
    """The transform that holds the whole object."""
    return item


class Informer(Generic[T]):
    """A cache of one kind of object, grouped by `group` and kept by a thread of its own.

    `transform` reduces an object to what the program reads of it: of ten thousand pods the rest would be most of the
    memory. `metadata.managedFields` is removed before.

    `synced` turns true after the first complete list and stays so: while the API server is away the cache is old, not
    empty. The informer's thread calls `changed` after each change, and `failed` after each list or watch that failed.
    """

    def __init__(
        self,
        server: ApiServer,
        path: str,
        *,
        transform: Callable[[Object], T],
        group: Callable[[Object], Any] = named,
        label_selector: str = "",
        changed: Callable[[], None] = lambda: None,
        failed: Callable[[], None] = lambda: None,
    ) -> None:
        self.synced = False
        self._server, self._path, self._group, self._selector = server, path, group, label_selector
        self._transform, self._changed, self._failed = transform, changed, failed
        self._groups: dict[Any, dict[str, T]] = {}
        self._tuples: dict[Any, tuple[T, ...]] = {}
        """The groups that `of` has returned, each until an object of it changes."""
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"informer {path}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Asks the thread to end after its current wait."""
        self._stop.set()

    def of(self, group: Any) -> tuple[T, ...]:
        """The objects of one group; the same tuple until one of them changes. Objects are replaced, never modified."""
        with self._lock:
            if group not in self._groups:
                return ()
            items = self._tuples.get(group)
            if items is None:
                items = self._tuples[group] = tuple(self._groups[group].values())
            return items

    def all(self) -> list[T]:
        with self._lock:
            return [item for group in self._groups.values() for item in group.values()]

    def _run(self) -> None:
        failures = 0
        while not self._stop.is_set():
            try:
                self._follow()
                failures = 0
            except Gone:
                continue
            except TemporaryError as error:
                failures += 1
                self._failed()
                log.warning("%s; trying again", error)
                # Full jitter, so that the replicas do not come back in step after an outage.
                self._stop.wait(random.uniform(0.05, min(0.1 * 2**failures, 10.0)))

    def _follow(self) -> None:
        version = self._list()
        for _ in range(max(RELIST_SECONDS // WATCH_SECONDS, 1)):
            if self._stop.is_set():
                return
            for event in self._server.watch(self._path, resource_version=version, label_selector=self._selector):
                item = event["object"]
                version = item["metadata"]["resourceVersion"]
                if event["type"] == "BOOKMARK":
                    continue
                self._apply(item, deleted=event["type"] == "DELETED")
                self._changed()
                if self._stop.is_set():
                    return

    def _list(self) -> str:
        """Replaces the cache by a full list; returns the resource version to watch from. Raises TemporaryError."""
        version = ""
        groups: dict[Any, dict[str, T]] = {}
        for page, version in self._server.pages(self._path, label_selector=self._selector):  # noqa: B007  the last
            for item in page:
                groups.setdefault(self._group(item), {})[item["metadata"]["uid"]] = self._transformed(item)
        with self._lock:
            self._groups = groups
            self._tuples.clear()
        self.synced = True
        self._changed()
        return version

    def _apply(self, item: Object, *, deleted: bool) -> None:
        key, uid = self._group(item), item["metadata"]["uid"]
        with self._lock:
            self._tuples.pop(key, None)
            if not deleted:
                self._groups.setdefault(key, {})[uid] = self._transformed(item)
            elif key in self._groups:
                self._groups[key].pop(uid, None)
                if not self._groups[key]:
                    del self._groups[key]

    def _transformed(self, item: Object) -> T:
        item["metadata"].pop("managedFields", None)
        return self._transform(item)
