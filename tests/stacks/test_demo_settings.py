"""The local tool sets what depends on the machine, in words that the program's own settings know."""

from pathlib import Path

import yaml

from headrace.stacks.local import demo
from headrace.stacks.local.places import CHECKOUT
from headrace.stacks.local.target import Target


def test_every_setting_the_demo_gives_is_one_the_program_declares() -> None:
    declared = yaml.safe_load((CHECKOUT / "Pulumi.yaml").read_text())["config"]
    place = Target(kubeconfig=Path("/k"), image_delivery={"kind": "containerd", "address": "/s"}, host="10.0.0.1")

    given = demo.settings(place, place.host, [{"name": "fraud", "model_uri": "models:/fraud/1"}])

    assert set(given) <= set(declared)
