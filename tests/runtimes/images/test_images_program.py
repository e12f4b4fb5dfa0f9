"""The builder as a program: JSON in, JSON out, exit status."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from headrace.contract.image import (
    BUILDER_MODULE,
    Delivery,
    DeliveryKind,
    ImageKind,
    ImageRequest,
    ModelInput,
)


def _run(command: str, request: Any, cache: Path, **variables: str) -> tuple[int, dict[str, Any], list[str]]:
    done = subprocess.run(
        [sys.executable, "-m", BUILDER_MODULE, command],
        input=request if isinstance(request, str) else json.dumps(request),
        capture_output=True,
        text=True,
        env={**os.environ, "HEADRACE_CACHE": str(cache), **variables},
        check=False,
    )
    return done.returncode, json.loads(done.stdout), done.stderr.splitlines()


def _request(tmp_path: Path, python: str = "3.8.1") -> dict[str, Any]:
    return ImageRequest(
        kind=ImageKind.MODEL,
        name="models/fraud",
        delivery=Delivery(kind=DeliveryKind.CONTAINERD, address=str(tmp_path / "c.sock")),
        model=ModelInput(source=str(tmp_path), identity="i", python=python, requirements=()),
    ).to_json()


def test_a_failed_build_answers_one_sentence_and_where_its_log_is(tmp_path: Path) -> None:
    status, answer, _ = _run("build", _request(tmp_path), tmp_path / "cache")

    assert status == 1
    assert "Python 3.8.1" in answer["message"]
    assert answer["temporary"] is False
    assert answer["log"].startswith(str(tmp_path / "cache" / "images" / "logs" / "model-fraud."))


def test_a_description_needs_no_network_and_writes_nothing(tmp_path: Path) -> None:
    status, answer, progress = _run("describe", _request(tmp_path, "3.11.9"), tmp_path / "cache")

    assert status == 0
    assert set(answer) == {"platform_digest", "environment_digest"}
    assert progress == []
    assert not (tmp_path / "cache").exists()


def test_a_cache_that_cannot_be_written_is_a_sentence_too(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    status, answer, _ = _run("build", _request(tmp_path), tmp_path / "file")

    assert status == 1
    assert "set HEADRACE_CACHE" in answer["message"]
