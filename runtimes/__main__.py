"""PID 1 of a model pod: `python3 -m headrace.runtimes`; with a plan of an engine, the engine serves the model.

With the argument `weights` it is the init container that copies large weights to the node, with `sidecar` the pod's
sidecar: all are containers of the same image.
"""

# ruff: noqa: PLC0415 -- what is imported when, and what never, is a part of the time in which a pod starts.

import gc
import os
import sys


def main() -> int:
    """Reads the settings and serves until SIGTERM."""
    gc.set_threshold(20_000)  # what is imported stays: the usual 700 walk it a hundred times meanwhile
    if sys.argv[1:] == ["sidecar"]:
        from headrace.runtimes.sidecar import __main__ as sidecar

        return sidecar.main(os.environ)
    from headrace.contract import log_line
    from headrace.contract.errors import InputError
    from headrace.contract.weights import COMMAND, MANIFEST_PATH
    from headrace.runtimes.pod import logs, processes, settings

    copies = sys.argv[1:] == [COMMAND]
    logs.configure(log_line.WEIGHTS if copies else log_line.FRONT, os.environ)
    if copies:
        from headrace.runtimes.weights import program

        return program.main(os.environ)
    if os.path.exists(MANIFEST_PATH):
        from headrace.runtimes.weights import holding

        if not holding.hold_all():
            return 1
    try:
        chosen = settings.parse(sys.argv[1:], os.environ)
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    from headrace.runtimes.http import serving

    return serving.run(chosen, began=processes.started(os.getpid()))


if __name__ == "__main__":
    sys.exit(main())
