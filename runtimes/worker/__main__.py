"""Started by the front as `<model environment>/bin/python -I <this file> --socket PATH --model DIR --slot N`.

`-I` keeps our packages and the user's site directory out of the model's sight. The sibling modules are loaded under a
private package name, so that no name of ours can shadow a module that the model imports.
"""

from __future__ import annotations

import argparse
import faulthandler
import gc
import importlib
import importlib.util
import os
import sys

_PACKAGE = "_headrace_worker"
YIELDING = 5
"""Steps of niceness below the front, which needs little and must be quick: it refuses what is too much, and a worker
whose answers wait for it gets no work."""

LOADING_OBJECTS = 50_000
"""New containers between two collections while the model loads. It makes 400,000, nearly all of them to stay; at
Python's own 700 they are walked six hundred times over, for a seventh of the CPU time of a start."""


def main() -> int:
    """Parses arguments, loads the package and serves until told to leave."""
    usual = gc.get_threshold()
    gc.set_threshold(LOADING_OBJECTS, *usual[1:])
    parser = argparse.ArgumentParser(description="Serves one MLflow model to a Headrace front.")
    parser.add_argument("--socket", required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--slot", type=int, required=True)
    parser.add_argument("--whole", action="store_true", help="defer no library")
    parser.add_argument("--descriptor", type=int, default=None, help="the open connection of a worker that begins anew")
    parser.add_argument("--taken", type=int, default=None, help="shared memory that says which call was taken up last")
    arguments = parser.parse_args()
    if arguments.descriptor is None:
        os.nice(YIELDING)
    folder = os.path.dirname(os.path.abspath(__file__))
    spec = importlib.util.spec_from_file_location(
        _PACKAGE, os.path.join(folder, "__init__.py"), submodule_search_locations=[folder]
    )
    if spec is None or spec.loader is None:
        raise RuntimeError(f"the worker's modules are not at {folder}")
    package = importlib.util.module_from_spec(spec)
    sys.modules[_PACKAGE] = package
    spec.loader.exec_module(package)
    importlib.import_module(_PACKAGE + ".call_output").install()
    log = importlib.import_module(_PACKAGE + ".diagnostics").log
    log.keep(marked=True)
    faulthandler.enable(log.descriptor)  # a crash in native code leaves a trace in the log
    serving = importlib.import_module(_PACKAGE + ".serving")
    again = ["-I", "-u", os.path.abspath(__file__), *sys.argv[1:], "--whole"]
    status: int = serving.serve(arguments, collect_every=usual[0], again=again)
    return status


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # a model's non-daemon threads must not keep a retired worker alive
