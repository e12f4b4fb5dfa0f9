"""The machine has one embedded cluster: which machine can run it, and who may remove it."""

import json
import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from headrace.contract.errors import PermanentError
from headrace.local import cluster, cluster_layout, node_programs
from headrace.local.terminal_progress import Progress


@pytest.fixture
def cleared(short_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """States whose processes, mounts and interfaces were removed; nothing of the machine is touched."""
    found: list[Path] = []
    monkeypatch.setenv("HEADRACE_STATE", str(short_path / "ours"))
    monkeypatch.setattr(cluster, "_OWNER", short_path / "owner.json")
    monkeypatch.setattr(cluster, "_clear", lambda folders: found.append(folders.root))
    return found


def test_removing_a_checkouts_cluster_leaves_another_checkouts_alone(short_path: Path, cleared: list[Path]) -> None:
    owner = short_path / "owner.json"
    owner.write_text(json.dumps({"state": str(short_path / "theirs" / "cluster")}))

    cluster.reset()

    assert cleared == []
    assert owner.exists()


def test_its_own_cluster_and_what_nobody_owns_is_removed(short_path: Path, cleared: list[Path]) -> None:
    owner, ours = short_path / "owner.json", short_path / "ours" / "cluster"
    owner.write_text(json.dumps({"state": str(ours)}))

    cluster.stop()
    cluster.stop()

    assert cleared == [ours, ours]
    assert not owner.exists()


def test_every_reason_why_the_embedded_cluster_cannot_run_is_told_at_once(
    short_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = short_path / "state"
    monkeypatch.setenv("HEADRACE_STATE", str(state))
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=3 * 1024**3))

    with pytest.raises(PermanentError) as caught:
        cluster.start(Progress("test", steps=1))

    assert str(caught.value) == (
        "user id = 1000, must be 0 to run the embedded cluster; run as root or set HEADRACE_KUBECONFIG; "
        f"free disk at {state} = 3.0 GiB, must be at least 8 GiB; free some or set HEADRACE_STATE to a larger disk"
    )
    assert list(state.iterdir()) == []


def test_a_pod_may_not_take_all_processes_of_the_node(tmp_path: Path) -> None:
    folders = cluster_layout.Folders(tmp_path)
    node_programs.write_configuration(folders)
    kubelet = json.loads((folders.configuration / "kubelet.json").read_text())

    assert 1024 <= kubelet["podPidsLimit"] <= 32_768 // 4
