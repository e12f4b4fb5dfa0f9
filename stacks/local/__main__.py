"""Command line of the embedded default: `python -m headrace.stacks.local demo|up|down|status|start|stop`."""

import argparse
import json
import os
import sys
from dataclasses import asdict

from headrace.contract.errors import HeadraceError
from headrace.stacks.local import cluster, demo, registry
from headrace.stacks.local.progress import Progress


def main(arguments: list[str] | None = None) -> int:
    """Exit status: 0 done, 1 failed (one message on standard error says what and what to do), 2 wrong usage."""
    parser = argparse.ArgumentParser(prog="headrace.stacks.local", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    verbs.add_parser("demo", help="bring everything up and print a prediction")
    verbs.add_parser("down", help="remove everything but the cache")
    verbs.add_parser("start", help="start the embedded cluster alone")
    verbs.add_parser("stop", help="stop the embedded cluster and keep its objects")
    verbs.add_parser("reset", help="stop the embedded cluster and forget it")
    status = verbs.add_parser("status", help="what runs")
    status.add_argument("--json", action="store_true", help="as JSON, for scripts")
    options = parser.parse_args(arguments)
    os.environ["PATH"] = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"  # where Debian keeps nft, ip and ipset
    try:
        match options.verb:
            case "demo":
                demo.run()
            case "down":
                demo.down()
            case "start":
                print(cluster.start(Progress("cluster", steps=1)))
            case "stop":
                cluster.stop()
            case "reset":
                cluster.reset()
            case _:
                _status(as_json=options.json)
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
        print(json.dumps({"cluster": asdict(state), "registry": registry.running()}, indent=1))
        return
    for name in state.running:
        print(f"{name:26} running")
    for name in state.stopped:
        print(f"{name:26} stopped")
    print(f"{'mlflow':26} {'running' if registry.running() else 'stopped'}")
    print(f"cluster ready: {'yes' if state.ready else 'no'}; its programs use {state.resident_bytes / 2**20:.0f} MiB")
    if state.ready:
        print(f"kubeconfig: {state.kubeconfig}")


if __name__ == "__main__":
    sys.exit(main())
