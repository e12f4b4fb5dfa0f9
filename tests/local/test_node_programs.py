"""The key that encrypts Secrets in etcd: made once, for its owner alone, and used."""

import base64
import json
from pathlib import Path

from headrace.local import node_programs
from headrace.local.cluster_layout import Folders


def test_the_key_of_the_clusters_secrets_is_made_once_and_only_its_owner_can_read_it(tmp_path: Path) -> None:
    folders = Folders(tmp_path)
    folders.configuration.mkdir()

    node_programs.write_encryption(folders)
    first = folders.encryption.read_text()
    node_programs.write_encryption(folders)

    assert folders.encryption.read_text() == first
    assert folders.encryption.stat().st_mode & 0o777 == 0o600
    (rule,) = json.loads(first)["resources"]
    assert rule["resources"] == ["secrets"]
    assert list(rule["providers"][0]) == ["secretbox"], "what is written is encrypted"
    assert len(base64.b64decode(rule["providers"][0]["secretbox"]["keys"][0]["secret"])) == 32


def test_the_api_server_is_told_where_the_key_is(tmp_path: Path) -> None:
    folders = Folders(tmp_path)

    command = node_programs.daemons(folders, Path("/programs"))["kube-apiserver"].command

    assert f"--encryption-provider-config={folders.encryption}" in command


def test_two_clusters_have_two_keys(tmp_path: Path) -> None:
    keys = set()
    for name in ("one", "two"):
        folders = Folders(tmp_path / name)
        folders.configuration.mkdir(parents=True)
        node_programs.write_encryption(folders)
        keys.add(folders.encryption.read_text())

    assert len(keys) == 2
