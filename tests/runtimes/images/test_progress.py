"""What is said while a build goes on."""

import json
import threading
from pathlib import Path
from typing import Any

from headrace.runtimes.images.progress import progress
from headrace.runtimes.images.store import HashingWriter, Store


def test_a_step_that_goes_on_is_told_again_with_what_it_has_written(store: Store, log: Path) -> None:
    """The layer is finished only when the line about its first bytes has come: nothing here waits for a time."""
    lines: list[dict[str, Any]] = []
    told = threading.Event()

    def write(line: str) -> None:
        lines.append(json.loads(line))
        if lines[-1].get("unfinished_bytes") == 3 << 20:
            told.set()

    def layer(out: HashingWriter) -> None:
        with store.scratch() as scratch:
            (scratch / "download").write_bytes(bytes(2 << 20))
            (scratch / "link").symlink_to("download")
            out.write(bytes(1 << 20))
            assert told.wait(30), lines

    with progress(log, 2, write, store.unfinished, again_seconds=0.01) as report:
        report("environment")
        store.put_stream(layer)
        report("model")

    assert [(line["step"], line["of"], line["what"]) for line in lines if "unfinished_bytes" not in line] == [
        (1, 2, "environment"),
        (2, 2, "model"),
    ]
    assert {line["what"] for line in lines if line.get("unfinished_bytes")} == {"environment"}
    assert [json.loads(line)["what"] for line in log.read_text().splitlines()] == ["environment", "model"]
    assert store.unfinished() == 0
