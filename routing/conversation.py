"""Conversation: the order in which one proxy learns of a snapshot, so that no request meets a half-told one. Pure.

A route is only told once its cluster and its cluster's pods are known to the proxy (make before break); a cluster is
only taken away once no route the proxy holds leads to it.
"""

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from headrace.routing.snapshot import RoleResources
from headrace.routing.snapshot.resources import CLUSTER, ENDPOINTS, LISTENER, ORDER, ROUTES, SECRET
from headrace.routing.subscription import Difference, Subscription

CHUNK = 1000
"""Most resources in one answer: a proxy with many thousands is told in steps that each fit one gRPC message."""
_BEFORE: Mapping[str, tuple[str, ...]] = {
    CLUSTER: (),
    ENDPOINTS: (),
    SECRET: (),
    LISTENER: (CLUSTER,),
    ROUTES: (CLUSTER, ENDPOINTS, LISTENER),
}


@dataclass(frozen=True)
class Answer:
    """One DeltaDiscoveryResponse to send."""

    type_url: str
    nonce: str
    difference: Difference


@dataclass
class Conversation:
    """All types of one stream."""

    subscriptions: dict[str, Subscription] = field(default_factory=lambda: {url: Subscription() for url in ORDER})
    _nonces: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def answers(self, resources: RoleResources, *, impatient: bool = False) -> list[Answer]:
        """What may be sent now. `impatient` drops the order: a proxy that never finishes a step still gets the rest."""
        found = []
        for url in ORDER:
            subscription = self.subscriptions[url]
            if subscription.awaited is not None:
                continue
            difference = subscription.difference(resources[url])
            upserts, removals = difference.upserts, difference.removals
            if not impatient and not all(self._settled(before, resources) for before in _BEFORE[url]):
                continue
            if not impatient and url in (CLUSTER, ENDPOINTS) and not self._routes_told(resources):
                # A removal of something asked for by name and never there is no loss: the proxy waits for that word.
                removals = tuple(name for name in removals if name not in subscription.known)
            part = Difference(upserts[:CHUNK], removals[:CHUNK])
            if part or subscription.unanswered():
                answer = Answer(url, str(next(self._nonces)), part)
                subscription.sent(part, answer.nonce)
                found.append(answer)
        return found

    def holding_back(self, resources: RoleResources) -> bool:
        """Whether something is left to tell that waits for the proxy."""
        return any(self.subscriptions[url].difference(resources[url]) for url in ORDER)

    def told(self, resources: RoleResources) -> bool:
        """Whether the proxy holds these resources and has answered for the last of them."""
        pairs = [(self.subscriptions[url], resources[url]) for url in ORDER]
        return all(
            subscription.awaited is None
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
        # A cluster that the proxy accepted is followed by a question for its pods; one it refused is not.
        return resources[ENDPOINTS].keys() <= subscription.names | self.subscriptions[CLUSTER].refused

    def _routes_told(self, resources: RoleResources) -> bool:
        routes = self.subscriptions[ROUTES]
        return not routes.started or routes.settled(resources[ROUTES])
