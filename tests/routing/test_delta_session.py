"""What a proxy is told, and in which order, without a network."""

from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from headrace.routing.ads.delta_session import RESOURCES_MAX, DeltaResponse, DeltaXdsSession
from headrace.routing.snapshot import Resource, RoleResources
from headrace.routing.snapshot.resources import CLUSTER, ENDPOINTS, LISTENER, ORDER, ROUTES


def resources(clusters: dict[str, int], *, routes: dict[str, int] | None = None) -> RoleResources:
    """Clusters and their endpoints by name and content, and one route table that names them all."""
    cluster = {name: Resource.of(name, {"content": content}) for name, content in clusters.items()}
    table = Resource.of("table", {"to": sorted(clusters), "routes": routes})
    listener = Resource.of("listener", {})
    by_type = {CLUSTER: cluster, ENDPOINTS: cluster, LISTENER: {"listener": listener}, ROUTES: {"table": table}}
    return {url: by_type.get(url, {}) for url in ORDER}


@dataclass
class Proxy:
    """An Envoy's side of the protocol, checking at every step what would break a request."""

    session: DeltaXdsSession = field(default_factory=DeltaXdsSession)
    held: dict[str, dict[str, Resource]] = field(default_factory=lambda: {url: {} for url in ORDER})
    told: list[str] = field(default_factory=list)

    def start(self) -> None:
        self.session.subscriptions[CLUSTER].update([], [])
        self.session.subscriptions[LISTENER].update([], [])

    def reconnect(self) -> None:
        self.session = DeltaXdsSession()
        wishes = {CLUSTER: [], LISTENER: [], ENDPOINTS: list(self.held[CLUSTER])}
        if self.held[LISTENER]:
            wishes[ROUTES] = ["table"]
        for url, wished in wishes.items():
            known = {name: resource.version for name, resource in self.held[url].items()}
            if wished or url in (CLUSTER, LISTENER):
                self.session.subscriptions[url].update(wished, [], known)

    def take(self, answer: DeltaResponse, *, rejected: bool = False) -> None:
        subscription = self.session.subscriptions[answer.type_url]
        if not rejected:
            for resource in answer.difference.upserts:
                self.held[answer.type_url][resource.name] = resource
            for name in answer.difference.removals:
                self.held[answer.type_url].pop(name, None)
            added = [resource.name for resource in answer.difference.upserts]
            if answer.type_url == CLUSTER:
                new = [name for name in added if name not in self.held[ENDPOINTS]]
                if new:
                    self.session.subscriptions[ENDPOINTS].update(new, [])
                gone = [name for name in answer.difference.removals if name in self.held[ENDPOINTS]]
                if gone:
                    self.session.subscriptions[ENDPOINTS].update([], gone)
                    for name in gone:
                        self.held[ENDPOINTS].pop(name)
            if answer.type_url == LISTENER and added:
                self.session.subscriptions[ROUTES].update(["table"], [])
        assert subscription.acknowledged(answer.nonce, rejected=rejected)
        self.told.append(answer.type_url.rsplit(".", 1)[-1])
        self.check()

    def check(self) -> None:
        table = self.held[ROUTES].get("table")
        if table is not None:
            assert set(table.body["to"]) <= self.held[CLUSTER].keys(), "a route to a cluster that is not there"
            assert set(table.body["to"]) <= self.held[ENDPOINTS].keys(), "a route to a cluster without its pods"

    def settle(self, wanted: RoleResources) -> None:
        for _ in range(100):
            answers = self.session.responses(wanted)
            if not answers:
                break
            for answer in answers:
                self.take(answer)
        assert self.session.in_sync(wanted)
        assert not self.session.holding_back(wanted)
        assert {url: dict(by_name) for url, by_name in wanted.items()} == self.held


worlds = st.lists(st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 3)), min_size=1, max_size=6)


@given(worlds, st.data())
def test_through_any_changes_and_reconnects_no_route_leads_nowhere(
    history: list[dict[str, int]], data: st.DataObject
) -> None:
    proxy = Proxy()
    proxy.start()
    for clusters in history:
        wanted = resources(clusters)
        if data.draw(st.booleans(), label="only part of it is told before the next change"):
            for answer in proxy.session.responses(wanted)[:1]:
                proxy.take(answer)
            # What was sent but not taken is taken now: streams are ordered.
        if any(subscription.unacknowledged for subscription in proxy.session.subscriptions.values()) or data.draw(
            st.booleans(), label="reconnect"
        ):
            proxy.reconnect()
        proxy.settle(wanted)


def test_a_first_conversation_tells_clusters_then_pods_then_listeners_then_routes() -> None:
    proxy = Proxy()
    proxy.start()
    proxy.settle(resources({"a": 1}))
    assert proxy.told == ["Cluster", "ClusterLoadAssignment", "Listener", "RouteConfiguration"]


def test_a_removed_cluster_goes_only_after_its_route() -> None:
    proxy = Proxy()
    proxy.start()
    proxy.settle(resources({"a": 1, "b": 1}))
    proxy.told.clear()
    proxy.settle(resources({"b": 1}))
    assert proxy.told.index("RouteConfiguration") < proxy.told.index("Cluster")


def test_nothing_is_repeated_to_a_proxy_that_comes_back() -> None:
    proxy = Proxy()
    proxy.start()
    wanted = resources({"a": 1, "b": 1})
    proxy.settle(wanted)
    proxy.reconnect()
    upserts = [resource for answer in proxy.session.responses(wanted) for resource in answer.difference.upserts]
    assert upserts == []


def test_a_proxy_that_comes_back_forgets_what_was_removed_meanwhile() -> None:
    proxy = Proxy()
    proxy.start()
    proxy.settle(resources({"a": 1, "b": 1}))
    proxy.reconnect()
    proxy.settle(resources({"a": 1}))
    assert set(proxy.held[CLUSTER]) == {"a"}


def test_who_asks_for_everything_is_answered_even_when_there_is_nothing() -> None:
    session = DeltaXdsSession()
    session.subscriptions[CLUSTER].update([], [])
    nothing: RoleResources = {url: {} for url in ORDER}
    assert [answer.type_url for answer in session.responses(nothing)] == [CLUSTER]
    assert session.responses(nothing) == [], "once"


def test_a_refused_version_is_not_repeated_but_the_next_one_is_told() -> None:
    proxy = Proxy()
    proxy.start()
    (answer,) = [item for item in proxy.session.responses(resources({"a": 1})) if item.type_url == CLUSTER]
    proxy.take(answer, rejected=True)
    assert not [item for item in proxy.session.responses(resources({"a": 1})) if item.type_url == CLUSTER]
    again = [item for item in proxy.session.responses(resources({"a": 2})) if item.type_url == CLUSTER]
    assert [resource.name for item in again for resource in item.difference.upserts] == ["a"]


def test_one_refused_cluster_holds_up_nothing_else() -> None:
    proxy = Proxy()
    proxy.start()
    proxy.settle(resources({"a": 1}))
    wanted = resources({"a": 1, "bad": 1})
    (answer,) = proxy.session.responses(wanted)
    proxy.session.subscriptions[CLUSTER].acknowledged(answer.nonce, rejected=True)
    told = proxy.session.responses(wanted)
    assert [answer.type_url for answer in told] == [ROUTES], "the others' routes are told at once"
    for answer in told:
        proxy.session.subscriptions[ROUTES].acknowledged(answer.nonce, rejected=False)
    wanted = resources({"a": 2, "bad": 1})
    proxy.session.responses(wanted)
    proxy.session.subscriptions[CLUSTER].acknowledged(answer.nonce, rejected=False)
    assert proxy.session.subscriptions[CLUSTER].rejected == {"bad"}, "another's success changes nothing for it"


def test_a_proxy_that_never_finishes_a_step_is_told_the_rest_when_patience_ends() -> None:
    session = DeltaXdsSession()
    wanted = resources({"a": 1})
    session.subscriptions[CLUSTER].update([], [])
    session.subscriptions[ROUTES].update(["table"], [])
    assert [answer.type_url for answer in session.responses(wanted)] == [CLUSTER]
    assert session.responses(wanted) == []
    assert session.holding_back(wanted)
    assert [answer.type_url for answer in session.responses(wanted, ordered=False)] == [ROUTES]


def test_many_resources_are_told_in_several_answers() -> None:
    proxy = Proxy()
    proxy.start()
    many = resources({f"c{number}": 1 for number in range(RESOURCES_MAX + 5)})
    proxy.settle(many)
    assert proxy.told.count("Cluster") == 2
