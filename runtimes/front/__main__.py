"""PID 1 of a model pod: `python3 -m headrace.runtimes.front`; with a plan of an engine, that engine's front."""

import logging.config
import os
import sys

from headrace.contract.errors import InputError
from headrace.contract.runtime import ENV_ENGINE
from headrace.runtimes.engine import __main__ as engine
from headrace.runtimes.front import logs, settings
from headrace.runtimes.front.server import Server


def main() -> int:
    """Reads the settings and serves until SIGTERM."""
    logging.config.dictConfig(logs.configuration())
    if os.environ.get(ENV_ENGINE):
        return engine.main()
    try:
        chosen = settings.parse(sys.argv[1:], os.environ)
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    sys.argv = sys.argv[:1]  # gunicorn reads no command line of ours
    Server(chosen).run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
