"""kube-score, which judges manifests: built from its Go module, in the cache."""

import os
import subprocess
from pathlib import Path

MODULE = "github.com/zegl/kube-score/cmd/kube-score@v1.20.0"


def kube_score() -> Path:
    """Path of the executable; made when it is missing."""
    root = Path(os.environ.get("HEADRACE_CACHE", Path.home() / ".cache" / "headrace")) / "test-programs"
    program = root / "kube-score"
    if not program.exists():
        root.mkdir(parents=True, exist_ok=True)
        settings = {**os.environ, "GOBIN": str(root), "GOFLAGS": "-mod=mod", "CGO_ENABLED": "0"}
        subprocess.run(["go", "install", MODULE], env=settings, cwd=root, check=True, capture_output=True)
    return program
