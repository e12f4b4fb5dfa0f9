"""PID 1 of a model pod: `python3 -m headrace.runtimes.front`."""

import logging
import os
import sys

from headrace.contract.errors import InputError
from headrace.runtimes.front import settings
from headrace.runtimes.front.server import Server


def main() -> int:
    """Reads the settings and serves until SIGTERM."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr)
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
