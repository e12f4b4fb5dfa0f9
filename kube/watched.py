"""Watched: copies of several kinds of object, begun and ended as one."""

from typing import Any

from headrace.kube.informer import Informer


class Watched:
    """What a program sees of Kubernetes, by one informer a kind."""

    def __init__(self, *informers: Informer[Any]) -> None:
        self._informers = informers

    def start(self) -> None:
        """Begins to read, in threads of the informers."""
        for informer in self._informers:
            informer.start()

    def stop(self) -> None:
        """Ends those threads."""
        for informer in self._informers:
            informer.stop()

    @property
    def synced(self) -> bool:
        """Whether everything has been read once."""
        return all(informer.synced for informer in self._informers)
