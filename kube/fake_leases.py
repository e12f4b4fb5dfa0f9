"""FakeLeases: leases in memory, for tests and for trying a controller without Kubernetes."""

import copy
import itertools
from collections.abc import Mapping
from typing import Any

from headrace.contract.errors import TemporaryError
from headrace.kube.api_server import Conflict, Key, Object


class FakeLeases:
    """Leases as the API server keeps them: who writes over another's version gets a Conflict."""

    def __init__(self) -> None:
        self.down = False
        """True: the API server is away."""
        self.leases: dict[Key, Object] = {}
        self._versions = itertools.count(1)

    def read_lease(self, namespace: str, name: str) -> Object | None:
        """A copy of the Lease, or None."""
        self.up()
        return copy.deepcopy(self.leases.get((namespace, name)))

    def write_lease(self, namespace: str, name: str, lease: Mapping[str, Any]) -> Object:
        """Raises Conflict when the Lease is not the one that was read."""
        self.up()
        held = self.leases.get((namespace, name))
        expected = lease["metadata"].get("resourceVersion", "")
        if (held is None) != (not expected) or (held is not None and held["metadata"]["resourceVersion"] != expected):
            raise Conflict(f"Lease {namespace}/{name} was written by another")
        kept: Object = copy.deepcopy(dict(lease))
        kept["metadata"]["resourceVersion"] = str(next(self._versions))
        self.leases[namespace, name] = kept
        return copy.deepcopy(kept)

    def up(self) -> None:
        """Raises TemporaryError while the API server is away."""
        if self.down:
            raise TemporaryError("API server cannot be reached: connection refused")
