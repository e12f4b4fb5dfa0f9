"""The rules, each on objects that keep it, break it, lack what it looks at, or are exempt."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
from rules import RULES, bounds, egress, environment, images, isolation, namespaces, replicas, security
from rules.rule import ObjectRule, Resource, StackRule

DIGEST = "registry.example/model@sha256:" + "a" * 64
ENDPOINT = "serving.headrace.dev/endpoint"

GOOD: dict[str, Any] = {
    "metadata": {"name": "v7", "namespace": "endpoint-fraud", "labels": {ENDPOINT: "fraud"}},
    "spec": {
        "template": {
            "spec": {
                "automountServiceAccountToken": False,
                "securityContext": {
                    "runAsNonRoot": True,
                    "runAsUser": 65532,
                    "seccompProfile": {"type": "RuntimeDefault"},
                },
                "volumes": [{"name": "scratch", "emptyDir": {}}],
                "containers": [
                    {
                        "name": "model",
                        "image": DIGEST,
                        "securityContext": {
                            "allowPrivilegeEscalation": False,
                            "readOnlyRootFilesystem": True,
                            "capabilities": {"drop": ["ALL"]},
                        },
                        "resources": {
                            "requests": {"cpu": "250m", "memory": "1Gi"},
                            "limits": {"memory": "1Gi", "ephemeral-storage": "1Gi"},
                        },
                    }
                ],
            }
        }
    },
}
CLOSED = {
    "metadata": {"name": "default-deny", "namespace": "endpoint-fraud"},
    "spec": {"podSelector": {}, "policyTypes": ["Ingress", "Egress"], "ingress": [], "egress": []},
}


def deployment(change: Callable[[Any, Any, Any], None] = lambda spec, pod, container: None) -> Resource:
    """The good Deployment after `change(spec, pod, container)`."""
    props = copy.deepcopy(GOOD)
    pod = props["spec"]["template"]["spec"]
    change(props["spec"], pod, pod["containers"][0])
    return Resource(type="kubernetes:apps/v1:Deployment", props=props)


def found(rule: ObjectRule, resource: Resource, **config: Any) -> list[str]:
    return list(rule.violations(resource, config))


OBJECT_RULES = [rule for rule in RULES if isinstance(rule, ObjectRule)]

BROKEN: list[tuple[ObjectRule, Callable[[Any, Any, Any], Any], str]] = [
    (images.RULE, lambda spec, pod, c: c.update(image="registry.example/model:v7"), "pin it"),
    (images.RULE, lambda spec, pod, c: c.pop("image"), "pin it"),
    (images.RULE, lambda spec, pod, c: pod.update(initContainers=[{"name": "first", "image": "x:latest"}]), "first"),
    (bounds.RULE, lambda spec, pod, c: c.pop("resources"), "resources.limits for memory and ephemeral-storage"),
    (bounds.RULE, lambda spec, pod, c: c["resources"]["limits"].pop("memory"), "resources.limits for memory"),
    (bounds.RULE, lambda spec, pod, c: c["resources"]["requests"].pop("cpu"), "resources.requests for cpu"),
    (replicas.RULE, lambda spec, pod, c: spec.update(replicas=3), "spec.replicas = 3"),
    (replicas.RULE, lambda spec, pod, c: spec.update(replicas=0), "spec.replicas = 0"),
    (security.RULE, lambda spec, pod, c: pod.update(hostNetwork=True), "hostNetwork"),
    (security.RULE, lambda spec, pod, c: pod.update(volumes=[{"name": "root", "hostPath": {"path": "/"}}]), "root"),
    (security.RULE, lambda spec, pod, c: pod.pop("securityContext"), "seccompProfile"),
    (security.RULE, lambda spec, pod, c: pod.pop("automountServiceAccountToken"), "token"),
    (security.RULE, lambda spec, pod, c: c.pop("securityContext"), "allowPrivilegeEscalation"),
    (security.RULE, lambda spec, pod, c: c["securityContext"].update(privileged=True), "privileged"),
    (security.RULE, lambda spec, pod, c: c["securityContext"].update(readOnlyRootFilesystem=False), "changed"),
    (security.RULE, lambda spec, pod, c: c["securityContext"].update(runAsUser=0), "root"),
    (security.RULE, lambda spec, pod, c: c["securityContext"]["capabilities"].update(add=["NET_RAW"]), "capabilities"),
    (security.RULE, lambda spec, pod, c: c.update(ports=[{"hostPort": 80}]), "hostPort"),
]


@pytest.mark.parametrize("rule", OBJECT_RULES, ids=lambda rule: rule.name)
def test_an_object_that_keeps_a_rule_passes(rule: ObjectRule) -> None:
    assert found(rule, deployment()) == []


@pytest.mark.parametrize(("rule", "change", "words"), BROKEN)
def test_an_object_that_breaks_a_rule_is_told_what_to_set(rule: ObjectRule, change: Any, words: str) -> None:
    violations = found(rule, deployment(change))

    assert any(words in violation for violation in violations), violations
    assert all(violation.startswith("Deployment endpoint-fraud/v7") for violation in violations)


@pytest.mark.parametrize(("rule", "change", "words"), BROKEN)
def test_an_exempt_namespace_is_left_alone(rule: ObjectRule, change: Any, words: str) -> None:
    assert found(rule, deployment(change), exempt_namespaces=["endpoint-fraud"]) == []
    assert found(rule, deployment(change), exempt_namespaces=["endpoint-other"]) != []


@pytest.mark.parametrize("rule", OBJECT_RULES, ids=lambda rule: rule.name)
@pytest.mark.parametrize("props", [{}, {"spec": None}, {"metadata": None, "spec": {}}])
@pytest.mark.parametrize("kind", ["apps/v1:Deployment", "batch/v1:CronJob", "core/v1:Pod", "core/v1:Namespace"])
def test_an_object_that_lacks_what_a_rule_looks_at_does_not_break_the_rule_itself(
    rule: ObjectRule, props: Any, kind: str
) -> None:
    assert isinstance(found(rule, Resource(type=f"kubernetes:{kind}", props=props)), list)


@pytest.mark.parametrize("rule", OBJECT_RULES, ids=lambda rule: rule.name)
def test_resources_of_other_packages_are_not_judged(rule: ObjectRule) -> None:
    assert found(rule, Resource(type="aws:ec2/instance:Instance", props={"spec": {"replicas": 3}})) == []


def test_pods_are_found_in_every_kind_that_makes_them() -> None:
    template = GOOD["spec"]["template"]
    bad = copy.deepcopy(template)
    bad["spec"]["containers"][0]["image"] = "x:latest"
    cron = {"metadata": {"name": "n"}, "spec": {"jobTemplate": {"spec": {"template": bad}}}}

    assert found(images.RULE, Resource(type="kubernetes:batch/v1:CronJob", props=cron))
    assert found(images.RULE, Resource(type="kubernetes:core/v1:Pod", props={"spec": bad["spec"]}))
    for kind in ("StatefulSet", "DaemonSet", "ReplicaSet"):
        assert found(images.RULE, Resource(type=f"kubernetes:apps/v1:{kind}", props={"spec": {"template": bad}}))


PLAIN = "is a plain value; use a secret"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(
            (name, "hush")
            for name in ("OPENAI_API_KEY", "AWS_SECRET_ACCESS_KEY", "HF_TOKEN", "DB_PASSWORD", "dbPassword")
        ),
        *((name, "hush") for name in ("CLIENT_SECRET", "spring.datasource.password", "SECRET_KEY_BASE", "GIT_PAT")),
        ("NOTE", "-----BEGIN RSA PRIVATE KEY-----"),
        ("MODEL_HUB", "sk-proj-abcdefghijklmnopqrstuvwxyz"),
        ("WHO", "AKIAABCDEFGHIJKLMNOP"),
        ("DATABASE", "postgresql://reader:hush@db.example/features"),
        ("WHO", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ4In0xx.c2lnbmF0dXJl"),
    ],
)
def test_a_variable_that_looks_like_a_secret_must_be_one(name: str, value: str) -> None:
    env = [{"name": name, "value": value}]
    (violation,) = found(environment.RULE, deployment(lambda spec, pod, c: c.update(env=env)))

    assert violation == f"Deployment endpoint-fraud/v7: environment[{name}] {PLAIN}"
    reference = [{"name": name, "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]
    assert found(environment.RULE, deployment(lambda spec, pod, c: c.update(env=reference))) == []
    assert found(environment.RULE, deployment(lambda spec, pod, c: pod.update(initContainers=[{"env": env}])))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("TOKENIZERS_PARALLELISM", value) for value in ("false", "many")),
        *(("MAX_TOKENS", value) for value in ("512", "some")),
        *((name, "value") for name in ("AWS_ACCESS_KEY_ID", "SECRET_NAME", "TOKEN_URL", "PARTITION_KEY", "KEYBOARD")),
        ("GOOGLE_APPLICATION_CREDENTIALS", "/var/run/google/key.json"),
        ("USE_TOKEN", "true"),
        ("PASSWORD", ""),
        ("HEADRACE_ENDPOINT", "fraud"),
        ("HUB", "https://hub.example/sk-learn"),
    ],
)
def test_a_variable_about_a_secret_is_none(name: str, value: str) -> None:
    env = [{"name": name, "value": value}]

    assert found(environment.RULE, deployment(lambda spec, pod, c: c.update(env=env))) == []


def policy(kind: str, *egress_rules: Any, namespace: str = "endpoint-fraud") -> Resource:
    group = "networking.k8s.io/v1" if kind == "NetworkPolicy" else "cilium.io/v2"
    props = {"metadata": {"name": "model", "namespace": namespace}, "spec": {"egress": list(egress_rules)}}
    return Resource(type=f"kubernetes:{group}:{kind}", props=props)


def to(*blocks: str) -> dict[str, Any]:
    return {"to": [{"ipBlock": {"cidr": block}} for block in blocks], "ports": [{"port": 443}]}


@pytest.mark.parametrize(
    ("resource", "words"),
    [
        (policy("NetworkPolicy", to("0.0.0.0/0")), "0.0.0.0/0"),
        (policy("NetworkPolicy", to("::/0")), "::/0"),
        (policy("NetworkPolicy", to("0.0.0.0/1"), to("128.0.0.0/1")), "0.0.0.0/0"),
        (policy("NetworkPolicy", to("8.0.0.0/7")), "8.0.0.0/7"),
        (policy("NetworkPolicy", {"ports": [{"port": 443}]}), "every address"),
        (policy("NetworkPolicy", {"to": [{"namespaceSelector": {}}]}), "every pod of the cluster"),
        (policy("CiliumNetworkPolicy", {"toFQDNs": [{"matchPattern": "*"}]}), "every host (*)"),
        (policy("CiliumNetworkPolicy", {"toFQDNs": [{"matchPattern": "*.*"}]}), "every host (*.*)"),
        (policy("CiliumNetworkPolicy", {"toEntities": ["world"]}), "every address (world)"),
        (policy("CiliumNetworkPolicy", {"toCIDR": ["0.0.0.0/0"]}), "0.0.0.0/0"),
        (policy("CiliumNetworkPolicy", {"toCIDRSet": [{"cidr": "0.0.0.0/0"}]}), "0.0.0.0/0"),
    ],
)
def test_a_model_that_may_connect_to_everything_is_refused(resource: Resource, words: str) -> None:
    (violation,) = found(egress.RULE, resource)

    assert f"the model may connect to {words}; name hosts or networks" in violation


def test_named_destinations_and_namespaces_that_are_no_endpoints_are_left_alone() -> None:
    by_pod = {"to": [{"namespaceSelector": {"matchLabels": {"a": "b"}}}]}
    names = {"toFQDNs": [{"matchName": "api.openai.com"}, {"matchPattern": "*.example.com"}]}

    assert found(egress.RULE, policy("NetworkPolicy", to("10.0.0.0/8", "11.0.0.0/16"), by_pod)) == []
    assert found(egress.RULE, policy("CiliumNetworkPolicy", names)) == []
    assert found(egress.RULE, policy("NetworkPolicy", to("0.0.0.0/0"), namespace="headrace-system")) == []
    assert found(egress.RULE, policy("NetworkPolicy", to("no network"))) == []


def test_our_namespaces_enforce_the_standard_and_other_namespaces_are_not_ours_to_judge() -> None:
    def namespace(**labels: str) -> Resource:
        return Resource(type="kubernetes:core/v1:Namespace", props={"metadata": {"name": "n", "labels": labels}})

    part_of = {"app.kubernetes.io/part-of": "headrace"}
    enforce = "pod-security.kubernetes.io/enforce"
    assert found(namespaces.RULE, namespace(**part_of, **{enforce: "restricted"})) == []
    assert found(namespaces.RULE, namespace(**part_of, **{enforce: "baseline"}))
    assert found(namespaces.RULE, namespace(**part_of))
    assert found(namespaces.RULE, namespace()) == []


def test_a_namespace_with_pods_must_deny_by_default() -> None:
    policy = Resource(type="kubernetes:networking.k8s.io/v1:NetworkPolicy", props=CLOSED)
    rule: StackRule = isolation.RULE

    assert list(rule.violations([deployment(), policy], {})) == []
    (violation,) = rule.violations([deployment()], {})
    assert violation.startswith("Namespace endpoint-fraud: its pods can be reached")
    assert list(rule.violations([policy], {})) == []
    assert list(rule.violations([deployment()], {"exempt_namespaces": ["endpoint-fraud"]})) == []


@pytest.mark.parametrize(
    "change",
    [
        {"policyTypes": ["Ingress"]},
        {"podSelector": {"matchLabels": {"app": "other"}}},
        {"ingress": [{}]},
        {"egress": [{"to": []}]},
    ],
)
def test_a_policy_with_a_hole_is_no_denial(change: dict[str, Any]) -> None:
    props = {**CLOSED, "spec": {**CLOSED["spec"], **change}}  # type: ignore[dict-item]
    holed = Resource(type="kubernetes:networking.k8s.io/v1:NetworkPolicy", props=props)

    assert list(isolation.RULE.violations([deployment(), holed], {}))


def test_rule_names_are_unique_and_in_the_form_of_their_trade() -> None:
    found_names = [rule.name for rule in RULES]

    assert len(set(found_names)) == len(found_names)
    assert all(name == name.lower() and name.count("-") >= 2 for name in found_names)
