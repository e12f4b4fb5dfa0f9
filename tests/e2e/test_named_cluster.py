"""A cluster that the user names, with images from a registry: the embedded one, as if it were somebody's own."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import registry_server
from live_platform import Platform, eventually
from registry_server import RegistryServer

from headrace.contract.errors import HeadraceError
from headrace.stacks.local import demo, layout, target
from headrace.stacks.local.progress import Progress
from headrace.stacks.local.toolchain import packages


@pytest.fixture
def registry(platform: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RegistryServer]:
    """The demo's cluster named by its kubeconfig, with a registry beside it; afterwards the demo is as it was."""
    if not platform.place.embedded:
        pytest.skip("the platform runs on a named cluster already")
    try:
        packages.ensure([packages.REGISTRY_PACKAGE], Progress("tests", steps=1))
    except HeadraceError as error:
        pytest.skip(str(error))
    with registry_server.running(tmp_path / "registry") as server:
        delivery = {"kind": "registry", "repository": f"{server.address}/models", "plain_http": True}
        monkeypatch.setenv("HEADRACE_KUBECONFIG", platform.description["kubeconfig"])
        monkeypatch.setenv("HEADRACE_IMAGE_DELIVERY", json.dumps(delivery))
        monkeypatch.setenv("HEADRACE_HOST", layout.NODE_ADDRESS)
        yield server
        for name in ("HEADRACE_KUBECONFIG", "HEADRACE_IMAGE_DELIVERY", "HEADRACE_HOST"):
            monkeypatch.delenv(name)
        demo.run()


def test_the_demo_on_a_named_cluster_runs_images_that_the_nodes_pull(
    platform: Platform, registry: RegistryServer
) -> None:
    description = demo.run()

    assert not target.embedded_wanted()
    assert description["kubeconfig"] == platform.description["kubeconfig"]
    assert platform.ask(platform.model.request).json == {"predictions": platform.model.expected}
    running = eventually(lambda: _only_from(registry, platform))  # pods of before may still be ending
    assert len(running) >= 4, "control plane, two proxies and a model"
    assert all("@sha256:" in image for image in running)
    assert registry.answered("GET", "/manifests/sha256:") >= 3, "the node asked the registry for each image"

    before = registry.uploads
    demo.run()
    assert registry.uploads == before, "a second demo pushes nothing"


def _only_from(registry: RegistryServer, platform: Platform) -> list[str]:
    """Images of the platform's and the model's pods; none while some are from elsewhere."""
    shown = platform.kubectl(
        "get", "pods", "-A", "-l", "app.kubernetes.io/part-of=headrace",
        "-o", 'jsonpath={range .items[*]}{.spec.containers[*].image} {end}',
    )  # fmt: skip
    images = shown.split()
    return images if {image.partition("/models/")[0] for image in images} == {registry.address} else []
