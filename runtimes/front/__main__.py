"""PID 1 of a model pod: `python3 -m headrace.runtimes.front`; with a plan of an engine, that engine's front."""

# ruff: noqa: PLC0415 -- what is imported when, and what never, is a part of the time in which a pod starts.

import gc
import os
import sys


def main() -> int:
    """Reads the settings and serves until SIGTERM."""
    gc.set_threshold(20_000)  # what is imported stays: the usual 700 walk it a hundred times meanwhile
    import logging.config

    from headrace.contract.errors import InputError
    from headrace.contract.runtime import ENV_ENGINE
    from headrace.runtimes.front import logs, process, settings

    logging.config.dictConfig(logs.configuration())
    if os.environ.get(ENV_ENGINE):
        from headrace.runtimes.engine import __main__ as engine

        return engine.main()
    from headrace.runtimes.front.server import Server

    try:
        chosen = settings.parse(sys.argv[1:], os.environ)
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    sys.argv = sys.argv[:1]  # gunicorn reads no command line of ours
    Server(chosen, began=process.started(os.getpid())).run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
