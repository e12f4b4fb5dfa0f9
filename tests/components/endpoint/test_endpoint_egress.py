"""What a model may connect to: what is refused, and the policies that the rest becomes."""

from ipaddress import ip_address, ip_network
from typing import Any

import pulumi
import pytest
from hypothesis import given as generated
from hypothesis import strategies
from stand_ins import DELIVERY

from headrace.components import ModelEndpoint
from headrace.components.endpoint.endpoint_egress import EgressRule, egress_faults, rules_of_policy
from headrace.components.testing import Recording, record
from headrace.contract.codec import decode

pytestmark = pytest.mark.usefixtures("stand_in_images")

REF: Any = {
    "namespace": "headrace-system",
    "url": "https://models.example",
    "image_delivery": DELIVERY,
    "image_base": {},
}
DNS = {
    "to": [
        {
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}},
            "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}},
        }
    ],
    "ports": [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}],
}

COLLECTOR = {
    "to": [
        {
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "headrace-system"}},
            "podSelector": {"matchLabels": {"serving.headrace.dev/component": "collector"}},
        }
    ],
    "ports": [{"protocol": "TCP", "port": 4317}, {"protocol": "TCP", "port": 4318}],
}
"""Of every pod: who takes its spans and lines."""


def made(*egress: dict[str, Any]) -> Recording:
    given: Any = {"platform": REF, "model_uri": "models:/agent/7", "egress": list(egress)}
    return record(lambda: ModelEndpoint("agent", given))


def permitted(recording: Recording) -> list[Any]:
    """Egress of the model pods' NetworkPolicy."""
    found: list[Any] = recording.named("agent-policy").inputs["spec"]["egress"]
    return found


def test_by_default_a_model_reaches_nobody_but_who_takes_its_spans_and_lines() -> None:
    assert permitted(made()) == [COLLECTOR]


def test_addresses_are_reached_on_their_ports_and_names_are_resolved() -> None:
    found = permitted(made({"cidr": "203.0.113.0/24", "ports": [443, 8443]}, {"cidr": "10.1.2.3", "ports": [53]}))

    assert found == [
        {
            "to": [{"ipBlock": {"cidr": "203.0.113.0/24"}}],
            "ports": [{"protocol": "TCP", "port": 443}, {"protocol": "TCP", "port": 8443}],
        },
        {"to": [{"ipBlock": {"cidr": "10.1.2.3/32"}}], "ports": [{"protocol": "TCP", "port": 53}]},
        COLLECTOR,
        DNS,
    ]


def test_pods_of_the_cluster_are_reached_by_namespace_and_labels() -> None:
    found = permitted(
        made(
            {"namespace": "feast", "pod_labels": {"app": "redis"}, "ports": [6379]},
            {"namespace": "statsd", "ports": [8125], "protocol": "UDP"},
        )
    )

    feast = {"matchLabels": {"kubernetes.io/metadata.name": "feast"}}
    assert found[0]["to"] == [{"namespaceSelector": feast, "podSelector": {"matchLabels": {"app": "redis"}}}]
    assert "podSelector" not in found[1]["to"][0]
    assert found[1]["ports"] == [{"protocol": "UDP", "port": 8125}]


def test_names_are_left_to_cilium_which_must_see_the_answers_of_dns() -> None:
    recording = made(
        {"host": "api.openai.com", "ports": [443]},
        {"host": "*.example.com", "ports": [443]},
        {"cidr": "203.0.113.7/32", "ports": [5432]},
    )
    (policy,) = recording.of_kind("CiliumNetworkPolicy")
    resolver, *hosts = policy.inputs["spec"]["egress"]

    assert resolver["toPorts"][0]["rules"] == {"dns": [{"matchPattern": "*"}]}
    assert [rule["toFQDNs"] for rule in hosts] == [
        [{"matchName": "api.openai.com"}],
        [{"matchPattern": "*.example.com"}],
    ]
    assert hosts[0]["toPorts"] == [{"ports": [{"port": "443", "protocol": "TCP"}]}]
    assert [rule["ports"] for rule in permitted(recording)] == [
        [{"protocol": "TCP", "port": 5432}],
        COLLECTOR["ports"],
    ]
    assert recording.waits_for("agent-v7-deployment", "agent-hosts")


def test_a_cluster_without_cilium_is_found_out_before_anything_is_made() -> None:
    assert "v2.cilium.io" in made({"host": "api.openai.com", "ports": [443]}).read
    assert "v2.cilium.io" not in made({"cidr": "203.0.113.7", "ports": [443]}).read


def test_the_preview_says_what_to_do_about_a_cluster_without_cilium(monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine's own words after it are: resource 'v2.cilium.io' does not exist."""
    told: list[str] = []
    monkeypatch.setattr(pulumi.log, "info", lambda sentence, *_: told.append(sentence))

    made({"host": "api.openai.com", "ports": [443]})

    assert told[0] == (
        "egress to api.openai.com needs Cilium in the cluster, which knows names; else give cidr. A cluster without it "
        "has no 'v2.cilium.io'."
    )


def blocks(cidr: str, *excluding: str) -> list[dict[str, Any]]:
    rule = decode(EgressRule, {"cidr": cidr, "excluding": list(excluding), "ports": [443]})
    return [entry["to"][0]["ipBlock"] for entry in rules_of_policy([rule])]


def test_a_wide_network_holds_no_address_at_which_clouds_give_credentials_away() -> None:
    assert blocks("0.0.0.0/0") == [{"cidr": "0.0.0.0/0", "except": ["169.254.0.0/16"]}]
    (wide,) = blocks("::/0")
    for address in ("fe80::1", "fd00:ec2::254", "fd20:ce::254"):
        assert any(ip_address(address) in ip_network(closed) for closed in wide["except"])
    assert blocks("169.254.170.23/32") == [{"cidr": "169.254.170.23/32"}], "who names them may have them"
    assert blocks("169.254.0.0/16") == [{"cidr": "169.254.0.0/16"}]
    assert blocks("10.0.0.0/8", "10.2.0.0/16") == [{"cidr": "10.0.0.0/8", "except": ["10.2.0.0/16"]}]


networks = strategies.ip_addresses(v=4).flatmap(
    lambda address: strategies.integers(0, 32).map(lambda bits: str(ip_network((address, bits), strict=False)))
)


@generated(networks, strategies.ip_addresses(v=4))
def test_whatever_network_is_named_only_its_own_addresses_are_open(cidr: str, address: Any) -> None:
    (block,) = blocks(cidr)
    closed = [ip_network(network) for network in block.get("except", [])]

    assert all(network.subnet_of(ip_network(cidr)) and network != ip_network(cidr) for network in closed)  # type: ignore[arg-type]
    metadata = address in ip_network("169.254.0.0/16") and ip_network(cidr).prefixlen < 16
    is_open = address in ip_network(cidr) and not any(address in network for network in closed)
    assert is_open == (address in ip_network(cidr) and not metadata)


BAD: list[tuple[list[dict[str, Any]], str]] = [
    ([{"ports": [443]}], "egress[0] has no destination, must have one of host, cidr and namespace"),
    ([{"host": "a.example", "cidr": "10.0.0.0/8", "ports": [1]}], "egress[0] has host and cidr, must have one of"),
    (
        [{"cidr": "10.1.2.3/16", "ports": [1]}],
        "egress[0].cidr = '10.1.2.3/16' has bits outside of its mask; write 10.1.0.0",
    ),
    ([{"cidr": "everywhere", "ports": [1]}], "egress[0].cidr = 'everywhere', must be addresses such as"),
    ([{"cidr": "10.0.0.0/33", "ports": [1]}], "must be addresses such as"),
    ([{"cidr": "010.0.0.1", "ports": [1]}], "must be addresses such as"),
    ([{"cidr": "fe80::1%eth0", "ports": [1]}], "must be addresses such as"),
    ([{"cidr": "::ffff:10.0.0.1", "ports": [1]}], "must be addresses such as"),
    ([{"cidr": "127.0.0.1", "ports": [1]}], "egress[0].cidr = '127.0.0.1' is no address of another machine"),
    ([{"cidr": "224.0.0.1", "ports": [1]}], "is no address of another machine"),
    ([{"host": "https://api.openai.com/v1", "ports": [443]}], "must be a full DNS name in lower case, without scheme"),
    ([{"host": "api.openai.com:443", "ports": [443]}], "must be a full DNS name"),
    ([{"host": "API.openai.com", "ports": [443]}], "must be a full DNS name in lower case"),
    ([{"host": "redis", "ports": [443]}], "must be a full DNS name"),
    ([{"host": "*", "ports": [443]}], "egress[0].host = '*' permits every name there is"),
    ([{"host": "203.0.113.7", "ports": [443]}], "egress[0].host = '203.0.113.7' is an address; give it as cidr"),
    ([{"host": "[::1]", "ports": [443]}], "is an address; give it as cidr"),
    ([{"host": "redis.feast.svc", "ports": [1]}], "is a name inside the cluster; give the Service's namespace"),
    ([{"host": "redis.feast.svc.cluster.local", "ports": [1]}], "is a name inside the cluster"),
    ([{"namespace": "Feast", "ports": [1]}], "egress[0].namespace = 'Feast', must be a DNS label"),
    ([{"namespace": "feast", "pod_labels": {"a b": "c"}, "ports": [1]}], "egress[0].pod_labels has the key 'a b'"),
    ([{"cidr": "10.0.0.0/8", "pod_labels": {"app": "x"}, "ports": [1]}], ".pod_labels is for namespace only"),
    ([{"namespace": "feast", "excluding": ["10.0.0.0/8"], "ports": [1]}], ".excluding is for cidr only"),
    ([{"cidr": "10.0.0.0/8", "ports": [1, 1]}], "egress[0].ports has 1 twice"),
    (
        [{"cidr": "10.0.0.0/8", "excluding": ["11.0.0.0/8"], "ports": [1]}],
        "egress[0].excluding has '11.0.0.0/8', must be inside cidr = '10.0.0.0/8'",
    ),
    ([{"cidr": "10.0.0.0/8", "excluding": ["::/8"], "ports": [1]}], "must be inside cidr"),
    ([{"cidr": "10.0.0.0/8", "excluding": ["10.0.0.0/8"], "ports": [1]}], ".excluding leaves nothing of cidr"),
    (
        [{"cidr": "10.0.0.0/8", "excluding": ["10.0.0.0/9", "10.128.0.0/9"], "ports": [1]}],
        ".excluding leaves nothing of cidr",
    ),
]
CONTRADICTING = [
    (
        [
            {"cidr": "10.0.0.0/8", "excluding": ["10.2.0.0/16"], "ports": [443, 80]},
            {"cidr": "10.2.3.0/24", "ports": [80]},
        ],
        "egress[1].cidr = '10.2.3.0/24' permits what egress[0].excluding = '10.2.0.0/16' closes, on port 80",
    ),
    (
        [
            {"cidr": "10.0.0.0/9", "ports": [443]},
            {"cidr": "10.0.0.0/8", "excluding": ["10.2.0.0/16"], "ports": [443]},
        ],
        "egress[0].cidr = '10.0.0.0/9' permits what egress[1].excluding = '10.2.0.0/16' closes, on port 443",
    ),
    (
        [{"host": "api.openai.com", "ports": [443]}, {"host": "api.openai.com", "ports": [80, 443]}],
        "egress[1] permits port 443 of host = 'api.openai.com' as egress[0] does; remove one of them",
    ),
    (
        [{"cidr": "10.1.2.3", "ports": [443]}, {"cidr": "10.1.2.3/32", "ports": [443]}],
        "egress[1] permits port 443 of cidr = '10.1.2.3/32' as egress[0] does",
    ),
]


@pytest.mark.parametrize(("egress", "words"), [*BAD, *CONTRADICTING])
def test_an_entry_that_cannot_be_meant_is_told(egress: list[dict[str, Any]], words: str) -> None:
    with pytest.raises(Exception, match=r"egress\[") as caught:
        made(*egress)
    assert words in str(caught.value)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("ports", [[], [0], [65536], ["443"], None, [True]])
def test_ports_are_numbers_that_exist_and_at_least_one(ports: Any) -> None:
    with pytest.raises(Exception, match=r"egress\[0\].ports"):
        made({"cidr": "10.0.0.0/8", "ports": ports})


@pytest.mark.parametrize(
    "egress",
    [
        [{"cidr": "10.0.0.0/8", "ports": [443]}, {"cidr": "10.2.0.0/16", "ports": [443, 80]}],
        [{"cidr": "10.0.0.0/8", "excluding": ["10.2.0.0/16"], "ports": [443]}, {"cidr": "10.2.0.0/16", "ports": [80]}],
        [
            {"cidr": "10.0.0.0/8", "excluding": ["10.2.0.0/16"], "ports": [53]},
            {"cidr": "10.2.0.0/16", "ports": [53], "protocol": "UDP"},
        ],
        [
            {"cidr": "10.0.0.0/8", "excluding": ["10.2.0.0/16"], "ports": [53]},
            {"cidr": "10.0.0.0/9", "excluding": ["10.2.0.0/17", "10.2.128.0/17"], "ports": [53]},
        ],
        [{"host": "api.openai.com", "ports": [443]}, {"host": "api.openai.com", "ports": [80]}],
    ],
)
def test_entries_that_agree_may_overlap(egress: list[dict[str, Any]]) -> None:
    assert list(egress_faults(egress)) == []
