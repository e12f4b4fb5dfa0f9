"""docs/what-your-model-may-need.md: every entry that it shows is an input that is taken."""

import re
from pathlib import Path
from typing import Any

import pulumi
import pytest
from stand_ins import DELIVERY

from headrace.components import ModelEndpoint
from headrace.components.endpoint.endpoint_inputs import ModelEndpointArgs
from headrace.components.testing import Recording, record

pytestmark = pytest.mark.usefixtures("stand_in_images")

PAGE = (Path(__file__).parents[2] / "docs" / "what-your-model-may-need.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
CELLS = [
    entry
    for row in re.findall(r"^\|[^|]*\|([^|]*)\|[^|]*\|$", PAGE, re.MULTILINE)
    for entry in re.findall(r'`("\w+": [^`]*)`', row)
    if "..." not in entry
]
REF: Any = {
    "namespace": "headrace-system",
    "url": "https://models.example",
    "image_delivery": DELIVERY,
    "image_base": {},
}


def made(entries: str) -> Recording:
    def program() -> None:
        given = eval(f"{{{entries}}}", {"config": pulumi.Config()})
        ModelEndpoint("fraud", {"platform": REF, "model_uri": "models:/fraud/7", **given})

    return record(program, config={"headrace:openai_api_key": "hush", "headrace:api_key": "hush"})


def test_the_page_shows_every_kind_of_need() -> None:
    shown = set(re.findall(r'^"(\w+)":', "\n".join(BLOCKS), re.MULTILINE))

    assert shown == {
        *("environment", "egress", "service_account", "volumes", "node_selector", "tolerations", "priority_class")
    }
    assert shown <= set(ModelEndpointArgs.__annotations__)
    assert len(CELLS) >= 8


@pytest.mark.parametrize("entries", [*BLOCKS, *CELLS])
def test_what_the_page_says_to_write_is_taken(entries: str) -> None:
    recording = made(entries)

    assert recording.named("fraud-v7-deployment")


def test_one_endpoint_may_need_all_of_it() -> None:
    recording = made("".join(block for block in BLOCKS if "role-arn" not in block))

    assert recording.named("fraud-v7-deployment")
    assert {"fraud-environment", "fraud-policy"} <= {resource.name for resource in recording.resources.values()}
