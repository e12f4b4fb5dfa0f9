"""A program on EKS goes on to its cluster: a platform, pools of GPUs, and a model that answers and is promoted.

AWS is the stand-in, and the API server that EKS would have made is the embedded cluster's, asked with the kubeconfig
that EksCluster gives. Karpenter does not run: its kinds are installed, and nodes with GPUs are written by hand.

These stories run before those of the demo's platform, of which a cluster has one (conftest.py).
"""

import json
import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from live_platform import Platform, eventually, quiet
from pulumi_aws_program import AwsProgram, deployed

from headrace.components.cluster.serving_cluster import one_context
from headrace.contract import names
from headrace.local import demo, demo_identity, demo_model, tracking_server
from headrace.local.pulumi_stack import PulumiStack
from headrace.local.target_cluster import TargetCluster
from headrace.local.toolchain import builder

KARPENTER = "github.com/aws/karpenter-provider-aws@v1.13.1"
THERE, HERE = "fraud-dev", "fraud-prod"
PROGRAM = """
import pulumi, pulumi_kubernetes
from headrace.components import EksCluster, GpuNodePool, ModelEndpoint, ServingPlatform
from headrace.stacks import forecast, promotion
from headrace.components.platform.prices import Prices

config = pulumi.Config()
if config.get("first"):
    first = pulumi.StackReference(config.require("first"))
    kubeconfig, ref, pools = first.require_output("kubeconfig"), first.require_output("platform"), []
    kubernetes = pulumi_kubernetes.Provider("kubernetes", kubeconfig=kubeconfig)
    there = pulumi.ResourceOptions(provider=kubernetes)
else:
    cluster = EksCluster("shop", {"deletion_protection": False})
    kubeconfig = cluster.kubeconfig
    kubernetes = pulumi_kubernetes.Provider("kubernetes", kubeconfig=kubeconfig)
    there = pulumi.ResourceOptions(provider=kubernetes)
    GpuNodePool("one", {"cluster": cluster.ref, "gpu": "a10g", "max_nodes": 2}, there)
    GpuNodePool("eight", {
        "cluster": cluster.ref, "gpu": "a100", "gpus_per_node": 8, "max_nodes": 1, "capacity": "reserved",
        "reservations": ["cr-0123456789abcdef0"], "sharing": {"kind": "mig", "parts": 2},
    }, there)
    platform = ServingPlatform("platform", config.require_object("platform"), there)
    ref = platform.ref
    pulumi.export("kubeconfig", pulumi.Output.secret(kubeconfig))
    pulumi.export("url", platform.url)
    pulumi.export("ca", platform.ca_certificate)
(settings,) = config.require_object("endpoints")
name = settings.pop("name")
endpoints = {name: ModelEndpoint(name, {"platform": ref, **settings}, there)}
forecast.tell(endpoints, kubeconfig=kubeconfig, prices=Prices())

pulumi.export("platform", ref)
pulumi.export("evidence", promotion.evidence(endpoints, config.get("evidence_key") or ""))
"""


@dataclass(frozen=True, kw_only=True)
class Shop:
    """The stacks of the program, and what the first of them made."""

    aws: AwsProgram
    live: Platform

    def pod(self, name: str) -> Any:
        """The pod's object."""
        return json.loads(self.live.kubectl("get", "pod", name, "-o", "json"))


@pytest.fixture(scope="module")
def shop(target: TargetCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """The stack `dev` of the program, up, on a cluster with Karpenter's kinds and two nodes with GPUs; what it made is
    gone at the end, from AWS and from the cluster."""
    if demo.description_file().exists():
        pytest.skip("the demo's platform is on the cluster, which has room for one; run `make down` first")
    folder, kubeconfig = tmp_path_factory.mktemp("shop"), tmp_path_factory.mktemp("cluster") / "kubeconfig"
    document = yaml.safe_load(target.kubeconfig.read_text())
    context = one_context(document, document["current-context"], target.kubeconfig.parent)
    kubeconfig.write_text(yaml.safe_dump(context))
    description = {"kubeconfig": str(kubeconfig), "ca_file": str(folder / "ca.crt")}
    live = Platform(
        description=description,
        model=demo_model.ensure(tracking_server.start()),
        cluster=target,
        stack=PulumiStack(programs=builder.deployer(quiet())),
    )
    kinds = str(_module(kubeconfig.parent) / "pkg" / "apis" / "crds")
    live.kubectl("apply", "--server-side", "-f", kinds)
    for pool, gpus in (("one", 1), ("eight", 8)):
        _add_node(live, pool, gpus)
    spaces = live.kubectl("get", "namespaces", "-o", "name")
    with deployed(folder, PROGRAM, kubeconfig=kubeconfig) as aws:
        before = aws.account.inventory()
        made = Shop(aws=aws, live=live)
        _declare(made)
        try:
            done = aws.up()
            assert done.returncode == 0, done.stdout + done.stderr
            outputs = json.loads(aws.pulumi("stack", "output", "--json", "--stack", "dev").stdout)
            (folder / "ca.crt").write_text(outputs["ca"])
            description |= {"url": outputs["url"], "token": demo_identity.token(kubeconfig)}
            yield made
        finally:
            for stack in ("prod", "dev"):
                gone = aws.pulumi("destroy", "--yes", "--skip-preview", "--stack", stack)
                assert gone.returncode == 0, gone.stdout + gone.stderr
        assert json.loads(live.kubectl("get", "nodepools,ec2nodeclasses", "-o", "json"))["items"] == []
        assert live.kubectl("get", "namespaces", "-o", "name") == spaces
        assert aws.account.inventory() == before
    live.kubectl("delete", "pod", "--all", "--namespace", "default", "--force", "--grace-period=0")
    live.kubectl("delete", "node", "gpu-one", "gpu-eight")
    live.kubectl("delete", "-f", kinds)


def _declare(shop: Shop) -> None:
    """Settings of both stacks. Production has its endpoint and names the platform of the other stack."""
    key = shop.aws.headrace("keygen", "dev.pem")
    assert key.returncode == 0, key.stderr
    platform = {
        "image_delivery": shop.live.cluster.image_delivery,
        "exposure": "node_port",
        "host": shop.live.cluster.host or demo_identity.first_node_address(shop.live.cluster.kubeconfig),
        "node_port": demo.NODE_PORT,
        "replicas": 1,
    }
    served = {"model_uri": shop.live.model.model_uri, "tracking_uri": tracking_server.uri()}
    stacks = {
        "dev": {"platform": platform, "endpoints": [{"name": THERE, **served}], "evidence_key": "file:dev.pem"},
        "prod": {
            "first": "organization/program/dev",
            "endpoints": [{"name": HERE, **served}],
            "promotion": {"trusted_keys": [key.stdout]},
        },
    }
    shop.aws.pulumi("stack", "init", "prod").check_returncode()
    for stack, settings in stacks.items():
        path = shop.aws.folder / f"Pulumi.{stack}.yaml"
        known = yaml.safe_load(path.read_text()) if path.exists() else {}
        config = {f"program:{name}": value for name, value in settings.items()}
        path.write_text(yaml.safe_dump({**known, "config": config}))


def _module(folder: Path) -> Path:
    """Karpenter's sources, which have the kinds as it publishes them."""
    (folder / "go.mod").write_text("module kinds\n\ngo 1.24\n")
    command = [builder.go_command(), "mod", "download", "-json", KARPENTER]
    done = subprocess.run(
        command, cwd=folder, env={**os.environ, "GOFLAGS": "-mod=mod"}, capture_output=True, text=True, check=True
    )
    return Path(json.loads(done.stdout)["Dir"])


def _add_node(live: Platform, pool: str, gpus: int) -> None:
    """A node as Karpenter would have made it for the pool, of which only the scheduler ever hears."""
    room = {"cpu": "8", "memory": "32Gi", "pods": "10", "nvidia.com/gpu": str(gpus)}
    taint = {"key": "nvidia.com/gpu", "value": "true", "effect": "NoSchedule"}
    node = {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": f"gpu-{pool}", "labels": {names.GPU_POOL_LABEL: pool}},
        "spec": {"taints": [taint]},
    }
    live.kubectl("apply", "-f", "-", text=json.dumps(node))
    status = {"status": {"capacity": room, "allocatable": room}}
    live.kubectl("patch", "node", f"gpu-{pool}", "--subresource=status", "--type=merge", "-p", json.dumps(status))


def _pod(name: str, pool: str, gpus: int) -> str:
    container = {
        "name": "model",
        "image": "registry.example/model",
        "resources": {"limits": {"nvidia.com/gpu": str(gpus)}},
    }
    spec = {
        "nodeSelector": {names.GPU_POOL_LABEL: pool},
        "tolerations": [{"operator": "Exists"}],  # also that nobody runs a kubelet on these nodes
        "containers": [container],
        "automountServiceAccountToken": False,
    }
    return json.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec})


def test_one_update_goes_from_an_empty_account_to_a_model_that_answers(shop: Shop) -> None:
    def answered() -> Any:
        answer = shop.live.ask(shop.live.model.request, path=names.invocations_path(THERE))
        assert answer.status == 200, answer.body
        return answer.json["predictions"]

    assert eventually(answered) == shop.live.model.expected
    assert shop.aws.account.inventory()["clusters"] == ["shop"]


def test_pools_are_taken_by_karpenters_kinds_and_eight_gpus_go_only_where_eight_fit(shop: Shop) -> None:
    kubectl = shop.live.kubectl
    pools = json.loads(kubectl("get", "nodepools", "-o", "json"))["items"]
    assert {pool["metadata"]["name"]: pool["spec"]["limits"] for pool in pools} == {
        "one": {"nvidia.com/gpu": "2", "nodes": "2"},
        "eight": {"nvidia.com/gpu": "16", "nodes": "1"},
    }
    classes = json.loads(kubectl("get", "ec2nodeclasses", "-o", "json"))["items"]
    assert {each["spec"]["subnetSelectorTerms"][0]["tags"]["karpenter.sh/discovery"] for each in classes} == {"shop"}

    kubectl("apply", "-f", "-", text=_pod("fits", "eight", 8))
    kubectl("apply", "-f", "-", text=_pod("too-large", "one", 8))
    eventually(lambda: shop.pod("fits")["spec"].get("nodeName") == "gpu-eight")
    (reason,) = eventually(
        lambda: [
            each["message"]
            for each in shop.pod("too-large")["status"].get("conditions", [])
            if each["type"] == "PodScheduled" and each["status"] == "False"
        ]
    )
    assert "Insufficient nvidia.com/gpu" in reason


def test_a_preview_tells_what_is_and_what_another_size_would_restart(shop: Shop) -> None:
    as_it_is = shop.aws.pulumi("preview", "--stack", "dev").stdout

    line = re.search(rf"^ *{THERE} +v1 +mlflow +1 to 100 .*$", as_it_is, re.MULTILINE)
    assert line, as_it_is
    assert "Pods replaced: none" in as_it_is
    assert int(line[0].split()[-1]) > 0  # room for another pod of the model

    # what the preview of another stack says of the same cluster
    shop.aws.pulumi("config", "set", "--stack", "dev", "--path", "endpoints[0].memory_mib", "900").check_returncode()
    larger = shop.aws.pulumi("preview", "--stack", "dev").stdout
    shop.aws.pulumi("config", "rm", "--stack", "dev", "--path", "endpoints[0].memory_mib").check_returncode()
    assert re.search(
        rf"Pods replaced, {THERE}: all 1 of v1: resources.requests.memory; resources.limits.memory", larger
    ), larger


def test_what_one_stack_proved_is_promoted_to_the_next(shop: Shop) -> None:
    done = shop.aws.headrace("promote", "--from", "dev", "--to", "prod", f"{THERE}={HERE}", "--yes")
    assert done.returncode == 0, done.stdout + done.stderr

    images = {
        json.loads(shop.live.kubectl("-n", names.endpoint_namespace(name), "get", "modelendpoint", name, "-o", "json"))[
            "spec"
        ]["versions"][0]["image"]
        for name in (THERE, HERE)
    }
    assert len(images) == 1
    assert "ImageBuild" not in done.stderr, "production builds nothing"
    answer = shop.live.ask(shop.live.model.request, path=names.invocations_path(HERE))
    assert (answer.status, answer.json["predictions"]) == (200, shop.live.model.expected)
