"""Which cluster is used: the one the user names, with every fault of what was named told at once."""

import json
from pathlib import Path

import pytest

from headrace.contract.errors import PermanentError
from headrace.local import target_cluster
from headrace.local.terminal_progress import Progress

REGISTRY = {"kind": "registry", "repository": "registry.example.com/models"}


@pytest.fixture
def progress() -> Progress:
    return Progress("test", steps=1)


def test_a_named_kubeconfig_is_used_and_nothing_is_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, progress: Progress
) -> None:
    kubeconfig = tmp_path / "config"
    kubeconfig.write_text("{}")
    monkeypatch.setenv("HEADRACE_KUBECONFIG", str(kubeconfig))
    monkeypatch.setenv("HEADRACE_IMAGE_DELIVERY", json.dumps(REGISTRY))
    monkeypatch.setenv("HEADRACE_HOST", "serving.example.com")

    place = target_cluster.ensure(progress)

    assert not target_cluster.embedded_wanted()
    assert (place.kubeconfig, place.image_delivery, place.host) == (kubeconfig, REGISTRY, "serving.example.com")
    assert not place.embedded


@pytest.mark.parametrize("delivery", [None, "registry.example.com", "[]"])
def test_every_fault_of_a_named_cluster_is_told_at_once(
    monkeypatch: pytest.MonkeyPatch, progress: Progress, delivery: str | None
) -> None:
    monkeypatch.setenv("HEADRACE_KUBECONFIG", "/nonexistent/config")
    if delivery is None:
        monkeypatch.delenv("HEADRACE_IMAGE_DELIVERY", raising=False)
    else:
        monkeypatch.setenv("HEADRACE_IMAGE_DELIVERY", delivery)

    with pytest.raises(PermanentError) as caught:
        target_cluster.ensure(progress)

    assert "HEADRACE_KUBECONFIG = /nonexistent/config, must be a file" in str(caught.value)
    assert f"HEADRACE_IMAGE_DELIVERY = {delivery!r}, must be JSON" in str(caught.value)


def test_without_docker_and_kind_the_embedded_cluster_is_wanted(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("HEADRACE_KUBECONFIG", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))

    assert target_cluster.embedded_wanted()


def test_a_kind_cluster_is_made_once_and_its_kubeconfig_kept_private(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, short_path: Path, progress: Progress
) -> None:
    # Stand-ins for docker and kind, which cannot run where there is no container engine.
    (tmp_path / "docker").write_text("#!/bin/sh\nexit 0\n")
    (tmp_path / "kind").write_text(
        f'#!/bin/sh\ncase "$1 $2" in\n"get clusters") cat {tmp_path}/clusters 2>/dev/null;;\n'
        f'"create cluster") echo headrace >> {tmp_path}/clusters;;\n"get kubeconfig") echo "{{}}";;\nesac\n'
    )
    for program in ("docker", "kind"):
        (tmp_path / program).chmod(0o755)
    monkeypatch.delenv("HEADRACE_KUBECONFIG", raising=False)
    monkeypatch.setenv("HEADRACE_STATE", str(short_path / "state"))
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")

    first, second = target_cluster.ensure(progress), target_cluster.ensure(progress)

    assert first == second
    assert first.image_delivery == {"kind": "kind", "cluster": "headrace"}
    assert first.kubeconfig.stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "clusters").read_text() == "headrace\n"
