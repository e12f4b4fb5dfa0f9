"""Subscription: the resources of one type that one proxy has asked for, was sent, and has accepted. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from headrace.routing.snapshot import Resource

WILDCARD = "*"


@dataclass(frozen=True)
class Difference:
    """Resources to send to a proxy, and names of those that it holds and that exist no longer."""

    upserts: tuple[Resource, ...] = ()
    removals: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.upserts or self.removals)


@dataclass
class Subscription:
    """State of incremental xDS for one type on one stream, from the server's side.

    A version that the proxy rejected counts as known: it would reject the same bytes again. The next version is sent.
    """

    names: set[str] = field(default_factory=set)
    wildcard: bool = False
    started: bool = False
    """Whether the proxy has sent a request for this type."""
    known: dict[str, str] = field(default_factory=dict)
    """Name → version that the proxy holds: told by it at the start of the stream, or sent since."""
    missing: set[str] = field(default_factory=set)
    """Names that the proxy subscribed to, that do not exist, and whose absence it was sent as a removal."""
    unacknowledged: str | None = None
    """Nonce of the response that the proxy has neither accepted (ACK) nor rejected (NACK); at most one at a time."""
    responded: bool = False
    """Whether any response was sent: a wildcard subscription needs one even when there is no resource."""
    rejected: set[str] = field(default_factory=set)
    """Names in rejected responses, until a response with them is accepted."""
    _unacknowledged_names: tuple[str, ...] = ()

    def update(
        self, subscribe: Iterable[str], unsubscribe: Iterable[str], initial: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        """Applies one request. A first request without names subscribes to all resources (the protocol's rule)."""
        subscribe, unsubscribe = set(subscribe), set(unsubscribe)
        if not self.started:
            self.started = True
            self.known.update(initial)
            self.wildcard = not subscribe
        self.wildcard = (self.wildcard or WILDCARD in subscribe) and WILDCARD not in unsubscribe
        self.names |= subscribe - {WILDCARD}
        self.names -= unsubscribe
        # A proxy that subscribes to a name again has forgotten it: a cluster that came back subscribes anew.
        for name in unsubscribe | subscribe.difference(initial):
            self.known.pop(name, None)
        self.missing -= subscribe | unsubscribe

    def acknowledged(self, nonce: str, *, rejected: bool) -> bool:
        """Applies an ACK or, when `rejected`, a NACK; False when the nonce is not the newest response's."""
        if nonce != self.unacknowledged:
            return False
        self.unacknowledged = None
        names = set(self._unacknowledged_names)
        self.rejected = self.rejected | names if rejected else self.rejected - names
        return True

    def difference(self, resources: Mapping[str, Resource]) -> Difference:
        """What the proxy must be sent to hold these resources; empty when it holds them or has not asked."""
        if not self.started:
            return Difference()
        wanted = resources.keys() if self.wildcard else self.names & resources.keys()
        upserts = tuple(resources[name] for name in sorted(wanted) if self.known.get(name) != resources[name].version)
        gone = {name for name in self.known if name not in resources}
        absent = {name for name in self.names if name not in resources and name not in self.missing}
        return Difference(upserts, tuple(sorted(gone | absent)))

    def sent(self, difference: Difference, nonce: str) -> None:
        self.unacknowledged = nonce
        self.responded = True
        self._unacknowledged_names = tuple(resource.name for resource in difference.upserts)
        for resource in difference.upserts:
            self.known[resource.name] = resource.version
            self.missing.discard(resource.name)
        for name in difference.removals:
            self.known.pop(name, None)
            self.rejected.discard(name)
            if name in self.names:
                self.missing.add(name)

    def owes_first_response(self) -> bool:
        """Whether the proxy has a wildcard subscription and was not sent any response yet, not even an empty one."""
        return self.wildcard and not self.responded

    def settled(self, resources: Mapping[str, Resource]) -> bool:
        """Whether the proxy holds all that it asked for and has acknowledged all that it was sent."""
        return self.unacknowledged is None and not self.owes_first_response() and not self.difference(resources).upserts
