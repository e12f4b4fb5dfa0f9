"""PID 1 of a model pod: `python3 -m headrace.runtimes`; with a plan of an engine, the engine serves the model."""

# ruff: noqa: PLC0415 -- what is imported when, and what never, is a part of the time in which a pod starts.

import gc
import os
import sys


def main() -> int:
    """Reads the settings and serves until SIGTERM."""
    gc.set_threshold(20_000)  # what is imported stays: the usual 700 walk it a hundred times meanwhile
    import logging.config

    from headrace.contract.errors import InputError
    from headrace.runtimes.pod import logs, processes, settings

    logging.config.dictConfig(logs.configuration())
    try:
        chosen = settings.parse(sys.argv[1:], os.environ)
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    from headrace.runtimes.http import serving

    return serving.run(chosen, began=processes.started(os.getpid()))


if __name__ == "__main__":
    sys.exit(main())
