"""The local tool sets what depends on the machine, in words that the program's own settings know."""

from pathlib import Path

import yaml

from headrace.local import demo
from headrace.local.paths import CHECKOUT
from headrace.local.target_cluster import TargetCluster


def test_every_setting_the_demo_gives_is_one_the_program_declares() -> None:
    declared = yaml.safe_load((CHECKOUT / "Pulumi.yaml").read_text())["config"]
    delivery = {"kind": "containerd", "address": "/s"}
    target = TargetCluster(kubeconfig=Path("/k"), image_delivery=delivery, host="10.0.0.1")

    given = demo.settings(target, target.host, [{"name": "fraud", "model_uri": "models:/fraud/1"}])

    assert set(given) <= set(declared)
