"""Adopting a cluster by its kubeconfig."""

import base64
from pathlib import Path
from typing import Any

import pytest
import yaml

from headrace.components import ServingCluster
from headrace.components.cluster.node_facts import NodeFacts
from headrace.components.cluster.serving_cluster import one_context
from headrace.components.kubernetes.checks import ArgsError
from headrace.components.testing import record

KUBECONFIG: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Config",
    "current-context": "here",
    "contexts": [
        {"name": "here", "context": {"cluster": "near", "user": "me"}},
        {"name": "there", "context": {"cluster": "far", "user": "me"}},
        {"name": "broken", "context": {"cluster": "gone", "user": "me"}},
    ],
    "clusters": [
        {"name": "near", "cluster": {"server": "https://10.0.0.1:6443", "certificate-authority": "ca.pem"}},
        {"name": "far", "cluster": {"server": "https://10.0.0.2:6443"}},
    ],
    "users": [{"name": "me", "user": {"token": "hush"}}],
}


@pytest.fixture
def kubeconfig(tmp_path: Path) -> Path:
    (tmp_path / "ca.pem").write_text("authority")
    path = tmp_path / "kubeconfig"
    path.write_text(yaml.safe_dump(KUBECONFIG))
    return path


def adopted(args: Any) -> tuple[dict[str, Any], str]:
    recording = record(lambda: ServingCluster("cluster", args))
    outputs = recording.outputs[recording.named("cluster").urn]
    return yaml.safe_load(outputs["kubeconfig"]), outputs["server"]


def test_the_current_context_is_adopted_with_its_files_inside(kubeconfig: Path) -> None:
    document, server = adopted({"kubeconfig": str(kubeconfig)})

    assert server == "https://10.0.0.1:6443"
    assert [context["name"] for context in document["contexts"]] == ["here"]
    cluster = document["clusters"][0]["cluster"]
    assert base64.b64decode(cluster["certificate-authority-data"]) == b"authority"
    assert "certificate-authority" not in cluster


def test_nodes_are_asked_only_where_that_is_wanted(kubeconfig: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def nodes(document: dict[str, Any]) -> NodeFacts:
        asked.append(document["current-context"])
        return NodeFacts(architectures=("amd64", "arm64"))

    monkeypatch.setattr("headrace.components.cluster.serving_cluster.node_facts", nodes)

    def architectures(**given: Any) -> Any:
        recording = record(lambda: ServingCluster("cluster", {"kubeconfig": str(kubeconfig), **given}))
        return recording.outputs[recording.named("cluster").urn]["architectures"]

    assert architectures() == []
    assert asked == []
    assert architectures(asks_nodes=True) == ["amd64", "arm64"]
    assert asked == ["here"]


def test_another_context_is_adopted_when_it_is_named(kubeconfig: Path) -> None:
    document, server = adopted({"kubeconfig": str(kubeconfig), "context": "there"})

    assert server == "https://10.0.0.2:6443"
    assert document["current-context"] == "there"


def test_without_a_path_kubeconfig_is_found_as_kubectl_finds_it(
    kubeconfig: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", f"{kubeconfig}:/nonexistent")

    assert adopted({})[1] == "https://10.0.0.1:6443"


def test_one_context_leaves_the_document_as_it_was(kubeconfig: Path) -> None:
    before = yaml.safe_dump(KUBECONFIG)

    one_context(KUBECONFIG, "here", kubeconfig.parent)

    assert yaml.safe_dump(KUBECONFIG) == before


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        ({"kubeconfig": "/nonexistent"}, "kubeconfig = '/nonexistent', no such file"),
        ({"context": "nowhere"}, "context = 'nowhere', must be one of here, there, broken"),
        ({"context": "broken"}, "context 'broken' names the cluster 'gone', which it lacks"),
        ({"kubeconfg": "x"}, "unknown input 'kubeconfg'"),
    ],
)
def test_what_cannot_be_adopted_is_explained_and_nothing_is_registered(
    kubeconfig: Path, args: Any, sentence: str
) -> None:
    registered = []

    def program() -> None:
        with pytest.raises(ArgsError, match=sentence):
            ServingCluster("cluster", {"kubeconfig": str(kubeconfig), **args})
        registered.append("nothing")

    assert record(program).resources == {}
    assert registered


def test_a_file_that_is_no_kubeconfig_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "kubeconfig"
    path.write_text("just text")

    with pytest.raises(ArgsError, match="is not a kubeconfig with a context"):
        ServingCluster("cluster", {"kubeconfig": str(path)})
