"""Karpenter: its publisher's chart, pinned, under the identity that EksCluster made."""

from headrace.components import Karpenter
from headrace.components.cluster.eks.karpenter_role import ACCOUNT, NAMESPACE
from headrace.components.testing import record


def test_the_chart_is_pinned_and_has_the_account_of_the_pod_identity() -> None:
    cluster = {"name": "shop", "interruption_queue": "shop"}

    recording = record(lambda: Karpenter("karpenter", {"cluster": cluster}))

    (release,) = recording.of_kind("Release")
    values = release.inputs["values"]
    assert (release.inputs["namespace"], values["serviceAccount"]["name"]) == (NAMESPACE, ACCOUNT)
    assert values["settings"]["clusterName"] == values["settings"]["interruptionQueue"] == "shop"
    assert values["controller"]["image"]["digest"].startswith("sha256:")
    assert release.inputs["version"]
