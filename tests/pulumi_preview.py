"""A preview by the real Pulumi engine, of a program in a project of its own."""

import os
import subprocess
import sys
from pathlib import Path

from live_platform import quiet

from headrace.local.toolchain import builder


def preview(folder: Path, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`pulumi preview` of the program's text in the empty folder; no cluster is asked."""
    environment = {
        **os.environ,
        "PATH": f"{builder.deployer(quiet())}:{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PULUMI_HOME": str(folder / "home"),
        "PULUMI_BACKEND_URL": f"file://{folder}",
        "PULUMI_CONFIG_PASSPHRASE": "test",
        "PULUMI_SKIP_UPDATE_CHECK": "true",
    }
    (folder / "Pulumi.yaml").write_text("name: program\nruntime: python\n")
    (folder / "__main__.py").write_text(program)
    pulumi = ["pulumi", "--non-interactive", "--color", "never"]
    subprocess.run([*pulumi, "stack", "init", "dev"], cwd=folder, env=environment, capture_output=True, check=True)
    return subprocess.run(
        [*pulumi, "preview", *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
