"""Karpenter: the controller that makes nodes for pods that find no room, from its publisher's Helm chart.

The chart brings the kinds NodePool and EC2NodeClass too, so that pools (GpuNodePool) come after it. Its role, its queue
and the nodes' role are EksCluster's.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final, NotRequired, TypedDict

import pulumi

from headrace.components.cluster.eks.karpenter_role import ACCOUNT, NAMESPACE
from headrace.components.kubernetes import checks

CHART: Final = "oci://public.ecr.aws/karpenter/karpenter"
CHART_VERSION: Final = "1.12.1"
IMAGE_DIGEST: Final = "sha256:8128bc8cdd0cc8ca2d2cf68ec61033eceb8cfb24834a08ab278784924013cfd0"
"""Of the controller in that version, as the chart itself has it."""
_SECONDS: Final = 300


class KarpenterArgs(TypedDict):
    """Inputs of Karpenter."""

    cluster: pulumi.Input[Mapping[str, Any]]
    """The output `ref` of an EksCluster."""
    replicas: NotRequired[int]
    """Copies, of which one works. Default 2, so that a lost node does not stop the making of others."""


class Karpenter(pulumi.ComponentResource):
    """Karpenter in an EKS cluster; it needs a current Kubernetes provider, as Helm does."""

    version: pulumi.Output[str]
    """Version of the chart."""

    def __init__(self, name: str, args: KarpenterArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        replicas = args.get("replicas", 2)
        checks.require(f"Karpenter '{name}'", _faults(args), checks.at_least("replicas", replicas, 1))
        super().__init__("headrace:index:Karpenter", name, dict(args), opts)
        cluster = pulumi.Output.from_input(args["cluster"])
        release = _HelmRelease(
            f"{name}-release",
            {
                "name": "karpenter",
                "namespace": NAMESPACE,
                "chart": CHART,
                "version": CHART_VERSION,
                "timeout": _SECONDS,
                "atomic": True,
                "values": {
                    "replicas": int(replicas),
                    "serviceAccount": {"name": ACCOUNT},  # EksCluster's pod identity is for this one
                    "controller": {
                        "image": {"digest": IMAGE_DIGEST},
                        "resources": {
                            "requests": {"cpu": "500m", "memory": "1Gi"},
                            "limits": {"cpu": "1", "memory": "1Gi"},
                        },
                    },
                    "settings": {
                        "clusterName": cluster["name"],
                        "interruptionQueue": cluster["interruption_queue"],
                        "eksControlPlane": True,
                    },
                },
            },
            pulumi.ResourceOptions(parent=self),
        )
        self.version = pulumi.Output.from_input(release.version)
        self.register_outputs({"version": self.version})


class _HelmRelease(pulumi.CustomResource):
    """pulumi-kubernetes' own Release without its class, whose import takes two seconds."""

    version: pulumi.Output[str]

    def __init__(self, name: str, props: Mapping[str, Any], opts: pulumi.ResourceOptions) -> None:
        super().__init__("kubernetes:helm.sh/v3:Release", name, dict(props), opts)


def _faults(args: KarpenterArgs) -> Iterator[str]:
    yield from checks.known_keys(args, KarpenterArgs.__annotations__)
    yield from checks.present(args, "cluster")
