"""`python -m headrace.observability.drift`: one check, told on standard input and answered on standard output.

The table writer starts it as a process of its own, which may be ended without the writer: it has less memory than the
writer's container has left, yields the processor, and is the first that the kernel ends.
"""

import contextlib
import json
import os
import resource
import sys
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Final

from headrace.contract.errors import HeadraceError
from headrace.observability.drift.check import check
from headrace.observability.tables.delta import VOLUME, explained, storage_options

_MEMORY_BYTES: Final = 512 * 1024 * 1024
"""Of data: half of the container. Two samples of the widest rows take 130 MiB, deltalake as much."""


def main() -> int:
    """Exit status 0 with the outcome as JSON, or `null` where nothing could be compared yet; 1 with a sentence."""
    resource.setrlimit(resource.RLIMIT_DATA, (_MEMORY_BYTES, _MEMORY_BYTES))
    os.nice(10)
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")
    asked = json.load(sys.stdin)
    uri = str(asked["uri"])
    try:
        options = storage_options(uri, asked["options"], volume=PurePosixPath(asked.get("volume", VOLUME)))
        found = check(uri, options, every_hours=int(asked["every_hours"]), now=datetime.now(UTC))
    except HeadraceError as error:
        print(error, file=sys.stderr)
        return 1
    except Exception as error:  # deltalake's, and object_store's through OSError
        print(explained(uri, error), file=sys.stderr)
        return 1
    told = None if found is None else {
        "checked_at": found.checked_at.timestamp(), "columns": found.columns, "drifted": dict(found.drifted),
    }  # fmt: skip
    json.dump(told, sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
