"""Mirror: a copy of one kind of object. Lists, then watches; any doubt ends in a fresh list."""

import logging
import random
import threading
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from headrace.contract.errors import TemporaryError
from headrace.machinery.api_server import WATCH_SECONDS, ApiServer, Gone, Object, named

log = logging.getLogger(__name__)

T = TypeVar("T")
"""What is kept of an object."""

RELIST_SECONDS = 600
"""A full list at least this often: whatever a watch may have lost is found again."""


def _ignore() -> None:
    """For who asks the copy in their own time."""


def whole(item: Object) -> Object:
    """The object, for who needs most of it."""
    return item


class Mirror(Generic[T]):
    """A copy of one kind of object, kept by a thread of its own and grouped by `group`.

    `kept` makes of an object what is kept; who wrote which field never is. Of many pods the rest is most of the memory.

    `synced` turns true after the first complete list and stays so: when the API server goes away the copy is old, not
    empty. `changed` and `failed` are called from the mirror's thread, after each change and each list or watch that
    failed.
    """

    def __init__(
        self,
        server: ApiServer,
        path: str,
        *,
        kept: Callable[[Object], T],
        group: Callable[[Object], Any] = named,
        label_selector: str = "",
        changed: Callable[[], None] = _ignore,
        failed: Callable[[], None] = _ignore,
    ) -> None:
        self.synced = False
        self._server, self._path, self._group, self._selector = server, path, group, label_selector
        self._shortened, self._changed, self._failed = kept, changed, failed
        self._groups: dict[Any, dict[str, T]] = {}
        self._given: dict[Any, tuple[T, ...]] = {}
        """Groups as `of` gave them, until they change."""
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"mirror {path}", daemon=True)

    def start(self) -> None:
        """Begins to follow the API server."""
        self._thread.start()

    def stop(self) -> None:
        """Asks the thread to end after its current wait."""
        self._stop.set()

    def of(self, group: Any) -> tuple[T, ...]:
        """The objects of one group; they are replaced, never changed in place. The same tuple until one changes."""
        with self._lock:
            if group not in self._groups:
                return ()
            given = self._given.get(group)
            if given is None:
                given = self._given[group] = tuple(self._groups[group].values())
            return given

    def all(self) -> list[T]:
        """Every object."""
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
        """Takes everything anew; gives the version to watch from. Nothing but what is kept lives on after it."""
        version = ""
        groups: dict[Any, dict[str, T]] = {}
        for page, version in self._server.pages(self._path, label_selector=self._selector):  # noqa: B007  the last
            for item in page:
                groups.setdefault(self._group(item), {})[item["metadata"]["uid"]] = self._kept(item)
        with self._lock:
            self._groups = groups
            self._given.clear()
        self.synced = True
        self._changed()
        return version

    def _apply(self, item: Object, *, deleted: bool) -> None:
        key, uid = self._group(item), item["metadata"]["uid"]
        with self._lock:
            self._given.pop(key, None)
            if not deleted:
                self._groups.setdefault(key, {})[uid] = self._kept(item)
            elif key in self._groups:
                self._groups[key].pop(uid, None)
                if not self._groups[key]:
                    del self._groups[key]

    def _kept(self, item: Object) -> T:
        item["metadata"].pop("managedFields", None)
        return self._shortened(item)
