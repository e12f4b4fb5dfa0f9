"""A cluster that the user names, whose node pulls from a registry; and the way back to images loaded on the node."""

import json
from pathlib import Path

import pytest
import registry_server
from live_platform import Platform, quiet

from headrace.images.deliver import LOCAL_REPOSITORY
from headrace.local import demo
from headrace.local.toolchain import packages


def _images(platform: Platform) -> set[str]:
    """Images of the platform's and the endpoint's Deployments, all of which have ready pods of their newest kind."""
    shown = platform.kubectl(
        "get", "deployments", "-A", "-l", "app.kubernetes.io/part-of=headrace", "-o",
        "jsonpath={range .items[*]}{.spec.template.spec.containers[*].image} {end}",
    )  # fmt: skip
    return set(shown.split())


@pytest.mark.long
def test_images_from_a_registry_serve_and_so_do_those_of_the_node_afterwards(
    platform: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not platform.cluster.embedded:
        pytest.skip("the cluster is a named one already")
    packages.ensure([packages.REGISTRY_PACKAGE], quiet())
    with registry_server.running(tmp_path / "registry") as server:
        repository = f"{server.address}/team"
        delivery = {"kind": "registry", "repository": repository, "plain_http": True}
        with monkeypatch.context() as named:
            named.setenv("HEADRACE_KUBECONFIG", platform.description["kubeconfig"])
            named.setenv("HEADRACE_IMAGE_DELIVERY", json.dumps(delivery))
            named.setenv("HEADRACE_HOST", platform.cluster.host)

            demo.run()  # asks for a prediction

        assert [image for image in _images(platform) if not image.startswith(f"{repository}/")] == []
        assert server.answered("GET", "/manifests/") >= 4

    demo.run()

    assert [image for image in _images(platform) if not image.startswith(f"{LOCAL_REPOSITORY}/")] == []
