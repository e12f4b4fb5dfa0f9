"""Subscription: what one proxy has asked for, been sent and accepted, of one type of resource. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from headrace.routing.snapshot import Resource

WILDCARD = "*"


@dataclass(frozen=True)
class Difference:
    """What a proxy lacks, and what it holds that no longer exists."""

    upserts: tuple[Resource, ...] = ()
    removals: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.upserts or self.removals)


@dataclass
class Subscription:
    """State of incremental xDS for one type on one stream, from the server's side.

    A rejected version counts as known: sending the same bytes again would be refused again. The next content is sent.
    """

    names: set[str] = field(default_factory=set)
    wildcard: bool = False
    started: bool = False
    """Whether the proxy has asked for this type at all."""
    known: dict[str, str] = field(default_factory=dict)
    """Name → version, as the proxy said at the start of the stream or as sent since."""
    missing: set[str] = field(default_factory=set)
    """Names asked for that do not exist, and of which the proxy has been told so."""
    awaited: str | None = None
    """Nonce of the answer that the proxy has not yet accepted or rejected; one at a time."""
    greeted: bool = False
    """Whether anything has been answered; one who asks for everything waits for a word even when there is nothing."""
    refused: set[str] = field(default_factory=set)
    """Names in answers that were refused, until an answer with them is accepted."""
    _awaited_names: tuple[str, ...] = ()

    def ask(
        self, subscribe: Iterable[str], unsubscribe: Iterable[str], initial: Mapping[str, str] | None = None
    ) -> None:
        """The proxy's wishes. The first request of a type without names means everything (the protocol's rule)."""
        subscribe, unsubscribe = set(subscribe), set(unsubscribe)
        if not self.started:
            self.started = True
            self.known.update(initial or {})
            if not subscribe:
                self.wildcard = True
        if WILDCARD in subscribe:
            self.wildcard = True
        if WILDCARD in unsubscribe:
            self.wildcard = False
        self.names |= subscribe - {WILDCARD}
        self.names -= unsubscribe
        for name in unsubscribe - {WILDCARD}:
            self.known.pop(name, None)
        # Asking again for a name means the proxy has forgotten it: a cluster that came back subscribes anew.
        for name in subscribe - set(initial or {}):
            self.known.pop(name, None)
        self.missing -= subscribe | unsubscribe

    def answered(self, nonce: str, *, rejected: bool) -> bool:
        """Takes an ACK or NACK; False when it is about an answer that no longer matters."""
        if nonce != self.awaited:
            return False
        self.awaited = None
        if rejected:
            self.refused.update(self._awaited_names)
        else:
            self.refused.difference_update(self._awaited_names)
        return True

    def difference(self, resources: Mapping[str, Resource]) -> Difference:
        """What would bring the proxy to these resources; empty when it is there or has not asked."""
        if not self.started:
            return Difference()
        wanted = resources.keys() if self.wildcard else self.names & resources.keys()
        upserts = tuple(resources[name] for name in sorted(wanted) if self.known.get(name) != resources[name].version)
        gone = {name for name in self.known if name not in resources}
        absent = {name for name in self.names if name not in resources and name not in self.missing}
        return Difference(upserts, tuple(sorted(gone | absent)))

    def sent(self, difference: Difference, nonce: str) -> None:
        """Records an answer as given."""
        self.awaited = nonce
        self.greeted = True
        self._awaited_names = tuple(resource.name for resource in difference.upserts)
        for resource in difference.upserts:
            self.known[resource.name] = resource.version
            self.missing.discard(resource.name)
        for name in difference.removals:
            self.known.pop(name, None)
            self.refused.discard(name)
            if name in self.names:
                self.missing.add(name)

    def unanswered(self) -> bool:
        """Whether the proxy asked for everything and has not heard anything, not even that there is nothing."""
        return self.wildcard and not self.greeted

    def settled(self, resources: Mapping[str, Resource]) -> bool:
        """Whether the proxy has all it asked for and has answered for all it was sent."""
        return self.awaited is None and not self.unanswered() and not self.difference(resources).upserts
