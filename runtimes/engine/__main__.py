"""PID 1 of a pod in which an engine serves the model: `python3 -m headrace.runtimes.engine`."""

import logging.config
import os
import sys

from headrace.contract.errors import InputError
from headrace.runtimes.engine import settings
from headrace.runtimes.engine.server import EngineServer
from headrace.runtimes.front import logs


def main() -> int:
    """Reads the settings and serves until SIGTERM."""
    logging.config.dictConfig(logs.configuration())
    try:
        chosen, plan = settings.parse(sys.argv[1:], os.environ)
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    sys.argv = sys.argv[:1]  # gunicorn reads no command line of ours
    EngineServer(chosen, plan).run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
