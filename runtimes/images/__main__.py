"""`python -m headrace.runtimes.images COMMAND < request.json`; headrace.contract.image has the commands and words."""

import json
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from headrace.contract.errors import HeadraceError, TemporaryError
from headrace.contract.image import BuildFailure, Delivery, ImageRequest
from headrace.runtimes.images.build import build, describe, resolve, steps
from headrace.runtimes.images.deliver import present
from headrace.runtimes.images.progress import progress
from headrace.runtimes.images.prune import prune
from headrace.runtimes.images.store import Store, cache_directory

_COMMANDS = ("build", "describe", "present", "resolve")


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def main(arguments: list[str]) -> int:
    """Runs one command; returns the exit status."""
    if len(arguments) != 1 or arguments[0] not in _COMMANDS:
        print(f"usage: python -m headrace.runtimes.images {'|'.join(_COMMANDS)} < request.json", file=sys.stderr)
        return 2
    log = ""
    try:
        value = json.load(sys.stdin)
        answer: dict[str, Any]
        if arguments[0] == "present":
            delivery = Delivery.from_json(value["delivery"])
            answer = {"present": present(value["image"], delivery, log=Path(os.devnull))}
        elif arguments[0] == "describe":
            answer = asdict(describe(ImageRequest.from_json(value)))
        else:
            request = ImageRequest.from_json(value)
            store = Store(cache_directory())
            path = store.new_log(f"{request.kind.value}-{request.name.rsplit('/', 1)[-1]}")
            log = str(path)
            if arguments[0] == "resolve":
                answer = {"pins": resolve(request, store, log=path)}
            else:
                with progress(path, steps(request.kind), _tell, store.unfinished) as report:
                    answer = build(request, store, log=path, report=report).to_json()
                prune(store)
    except HeadraceError as error:
        failure = BuildFailure(message=str(error), temporary=isinstance(error, TemporaryError), log=log)
        print(json.dumps(asdict(failure)))
        return 1
    except OSError as error:  # a full disk is the usual one
        where = f" ({error.filename})" if error.filename else ""
        message = (
            f"The build stopped: {error.strerror or error}{where}; free space or repair the directory, and run it again"
        )
        print(json.dumps(asdict(BuildFailure(message=message, temporary=True, log=log))))
        return 1
    print(json.dumps(answer))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
