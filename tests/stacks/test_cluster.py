"""The machine has one embedded cluster: who may remove it."""

import json
from pathlib import Path

import pytest

from headrace.stacks.local import cluster


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
