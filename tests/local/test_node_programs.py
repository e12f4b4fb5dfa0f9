"""What the node's programs are told."""

import json
from pathlib import Path

from headrace.local import node_programs
from headrace.local.cluster_layout import Folders


def test_a_pod_may_not_take_all_processes_of_the_node(tmp_path: Path) -> None:
    folders = Folders(tmp_path)
    node_programs.write_configuration(folders)
    kubelet = json.loads((folders.configuration / "kubelet.json").read_text())

    assert 1024 <= kubelet["podPidsLimit"] <= 32_768 // 4
