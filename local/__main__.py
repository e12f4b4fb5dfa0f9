"""Command line of the embedded default: `python -m headrace.local demo|build|down|status|start|stop|reset`."""

import argparse
import json
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Final

from headrace.contract.errors import HeadraceError
from headrace.local import cluster, demo, preparation, tracking_server
from headrace.local.terminal_progress import Progress

_VERBS: Final[Mapping[str, tuple[str, Callable[[], object]]]] = {
    "demo": ("bring everything up and print a prediction", demo.run),
    "build": ("build the programs that the cache lacks, and start nothing", preparation.build),
    "down": ("remove everything but the cache", demo.down),
    "start": ("start the embedded cluster alone", lambda: print(cluster.start(Progress("cluster", steps=1)))),
    "stop": ("stop the embedded cluster and keep its objects", cluster.stop),
    "reset": ("stop the embedded cluster and forget it", cluster.reset),
}


def main(arguments: list[str] | None = None) -> int:
    """Exit status: 0 done, 1 failed (one message on standard error says what and what to do), 2 wrong usage."""
    parser = argparse.ArgumentParser(prog="headrace.local", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    for verb, (meaning, _) in _VERBS.items():
        verbs.add_parser(verb, help=meaning)
    status = verbs.add_parser("status", help="what runs")
    status.add_argument("--json", action="store_true", help="as JSON, for scripts")
    options = parser.parse_args(arguments)
    os.environ["PATH"] = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"  # where Debian keeps nft, ip and ipset
    try:
        if options.verb == "status":
            _status(as_json=options.json)
        else:
            _VERBS[options.verb][1]()
    except HeadraceError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; run the same command again to go on", file=sys.stderr)
        return 130
    return 0


def _status(*, as_json: bool) -> None:
    state = cluster.status()
    if as_json:
        print(json.dumps({"cluster": asdict(state), "registry": tracking_server.running()}, indent=1))
        return
    mlflow = "running" if tracking_server.running() else "stopped"
    programs = dict.fromkeys(state.running, "running") | dict.fromkeys(state.stopped, "stopped") | {"mlflow": mlflow}
    for name, condition in programs.items():
        print(f"{name:26} {condition}")
    print(f"cluster ready: {'yes' if state.ready else 'no'}; its programs use {state.resident_bytes / 2**20:.0f} MiB")
    if state.ready:
        print(f"kubeconfig: {state.kubeconfig}")


if __name__ == "__main__":
    sys.exit(main())
