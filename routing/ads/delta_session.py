"""DeltaXdsSession: the order in which one proxy is sent a snapshot, so that no request meets half of one. Pure.

A route is sent only when the proxy holds its cluster and the cluster's endpoints (make before break); a cluster is
removed only when no route that the proxy holds leads to it.
"""

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from headrace.routing.ads.subscription import Difference, Subscription
from headrace.routing.snapshot import RoleResources
from headrace.routing.snapshot.resources import CLUSTER, ENDPOINTS, EXTENSION, LISTENER, ORDER, ROUTES, SECRET

RESOURCES_MAX = 1000
"""Most resources in one response: many thousands are sent in several responses, each of which fits a gRPC message."""
_SENT_BEFORE: Mapping[str, tuple[str, ...]] = {
    CLUSTER: (),
    ENDPOINTS: (),
    SECRET: (),
    EXTENSION: (),
    LISTENER: (CLUSTER,),
    ROUTES: (CLUSTER, ENDPOINTS, LISTENER),
}


@dataclass(frozen=True)
class DeltaResponse:
    """One DeltaDiscoveryResponse to send."""

    type_url: str
    nonce: str
    difference: Difference


@dataclass
class DeltaXdsSession:
    """The subscriptions of one stream, one for each type of resource."""

    subscriptions: dict[str, Subscription] = field(default_factory=lambda: {url: Subscription() for url in ORDER})
    _nonces: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def responses(self, resources: RoleResources, *, ordered: bool = True) -> list[DeltaResponse]:
        """Responses that may be sent now. Without `ordered`, also those that wait for the proxy's acknowledgements."""
        routes = self.subscriptions[ROUTES]
        routes_settled = not routes.started or routes.settled(resources[ROUTES])
        found = []
        for url in ORDER:
            subscription = self.subscriptions[url]
            if subscription.unacknowledged is not None:
                continue
            difference = subscription.difference(resources[url])
            upserts, removals = difference.upserts, difference.removals
            if ordered and not all(self._settled(before, resources) for before in _SENT_BEFORE[url]):
                continue
            if ordered and url in (CLUSTER, ENDPOINTS) and not routes_settled:
                # Only removals of names that never existed go first: the proxy waits for them and loses nothing.
                removals = tuple(name for name in removals if name not in subscription.known)
            part = Difference(upserts[:RESOURCES_MAX], removals[:RESOURCES_MAX])
            if part or subscription.owes_first_response():
                response = DeltaResponse(url, str(next(self._nonces)), part)
                subscription.sent(part, response.nonce)
                found.append(response)
        return found

    def holding_back(self, resources: RoleResources) -> bool:
        """Whether the proxy lacks a resource, or holds one too many, that it was not sent yet."""
        return any(self.subscriptions[url].difference(resources[url]) for url in ORDER)

    def in_sync(self, resources: RoleResources) -> bool:
        """Whether the proxy holds these resources and has acknowledged the last of them."""
        pairs = [(self.subscriptions[url], resources[url]) for url in ORDER]
        return all(
            subscription.unacknowledged is None
            and (subscription.started or not wanted)
            and not subscription.difference(wanted)
            for subscription, wanted in pairs
        )

    def _settled(self, url: str, resources: RoleResources) -> bool:
        subscription = self.subscriptions[url]
        if not subscription.settled(resources[url]):
            return False
        if url != ENDPOINTS:
            return True
        # For each cluster that a proxy accepts it subscribes to the endpoints; for one that it rejects it does not.
        return resources[ENDPOINTS].keys() <= subscription.names | self.subscriptions[CLUSTER].rejected
