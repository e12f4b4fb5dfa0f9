"""First answers of an endpoint that sleeps, to 100 callers at once: `python -m bench.first_answers`.

Runs on the embedded cluster, after `make demo` (which it runs, if it must), with the product's own autoscaler and
activator. The demo's endpoint is allowed to sleep; each round waits until its last pod has gone, and then 100 callers
send one request each, at once, over connections of their own, and repeat nothing. A caller that is not answered with
200 is lost.
"""

import argparse
import concurrent.futures
import http.client
import json
import ssl
import statistics
import sys
import time
import urllib.parse
from collections.abc import Callable, Mapping
from typing import Any, Final

import kubernetes

from bench import report
from headrace.contract import names
from headrace.local import demo, demo_model, target_cluster, tracking_server
from headrace.local.pulumi_stack import PulumiStack
from headrace.local.terminal_progress import Progress
from headrace.local.toolchain import builder
from headrace.local.toolchain.programs import KUBERNETES_VERSION

CALLERS: Final = 100
SCALE: Final = {"min_replicas": 0, "idle_seconds": 3.0}
BAR_SECONDS: Final = 4.0
_LONGEST_SECONDS: Final = 120.0


def call_at_once(
    description: Mapping[str, Any], body: Any, *, meanwhile: Callable[[], None] = lambda: None, callers: int = CALLERS
) -> list[tuple[int, float]]:
    """One request of each caller; status, 0 for a broken connection, and seconds of each."""
    address = urllib.parse.urlsplit(description["url"])
    context = ssl.create_default_context(cafile=description["ca_file"])
    headers = {"Authorization": f"Bearer {description['token']}", "Content-Type": "application/json"}
    host, port = str(address.hostname), demo.NODE_PORT if address.port is None else address.port
    path, sent = names.invocations_path(description["endpoint"]), json.dumps(body).encode()

    def ask(_: int) -> tuple[int, float]:
        begun = time.monotonic()
        connection = http.client.HTTPSConnection(host, port, context=context, timeout=_LONGEST_SECONDS)
        try:
            connection.request("POST", path, sent, headers)
            answer = connection.getresponse()
            answer.read()
            return answer.status, time.monotonic() - begun
        except (OSError, http.client.HTTPException):
            return 0, time.monotonic() - begun
        finally:
            connection.close()

    with concurrent.futures.ThreadPoolExecutor(callers) as pool:
        calls = [pool.submit(ask, number) for number in range(callers)]
        meanwhile()
        return [call.result() for call in calls]


def asleep(kubeconfig: str, namespace: str, *, seconds: float = 300.0) -> None:
    """Waits until the namespace has no pod."""
    core = kubernetes.client.CoreV1Api(kubernetes.config.new_client_from_config(kubeconfig))
    deadline = time.monotonic() + seconds
    while core.list_namespaced_pod(namespace).items:
        if time.monotonic() > deadline:
            raise SystemExit(f"bench.first_answers: {namespace} has a pod after {seconds:.0f} s, must sleep by then")
        time.sleep(0.2)


def percentile(values: list[float], share: float) -> float:
    """The value that this share of them does not exceed."""
    return sorted(values)[max(0, round(share * len(values)) - 1)]


def results(rounds: list[list[tuple[int, float]]]) -> tuple[list[report.Cell], list[report.Bar]]:
    """Cells and bars: medians over the rounds, and all that were lost."""

    def cell(metric: str, values: list[float]) -> report.Cell:
        low, high = min(values), max(values)
        case = f"{CALLERS} callers at once"
        value = statistics.median(values)
        return report.Cell(case=case, system="headrace", metric=metric, value=value, unit="s", low=low, high=high)

    seconds = [[taken for _, taken in answers] for answers in rounds]
    cells = [
        cell("first answer", [min(each) for each in seconds]),
        cell("p50", [percentile(each, 0.50) for each in seconds]),
        cell("p95", [percentile(each, 0.95) for each in seconds]),
        cell("last answer", [max(each) for each in seconds]),
        cell("last answer after the first", [max(each) - min(each) for each in seconds]),
    ]
    lost = sum(status != 200 for answers in rounds for status, _ in answers)
    bars = [
        report.at_most("from zero: p95 of 100 first requests", cells[2].value, BAR_SECONDS, "s"),
        report.at_most("from zero: requests lost", lost, 0, "requests"),
    ]
    return cells, bars


def main() -> int:
    """Measures, writes, prints the bars."""
    parser = argparse.ArgumentParser(prog="python -m bench.first_answers", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    description = json.loads(demo.description_file().read_text()) if demo.description_file().exists() else demo.run()
    model = demo_model.ensure(tracking_server.uri())
    progress = Progress("bench.first_answers", steps=1)
    target, stack = target_cluster.ensure(progress), PulumiStack(programs=builder.deployer(progress))
    endpoint = {"name": demo_model.NAME, "model_uri": model.model_uri}
    rounds = []
    stack.up(demo.settings(target, target.host, [{**endpoint, "scale": SCALE}]))
    try:
        for _ in range(arguments.rounds):
            asleep(description["kubeconfig"], names.endpoint_namespace(description["endpoint"]))
            rounds.append(call_at_once(description, model.request))
            seconds = [taken for _, taken in rounds[-1]]
            print(f"first {min(seconds):.2f} s, p95 {percentile(seconds, 0.95):.2f} s", flush=True)
    finally:
        stack.up(demo.settings(target, target.host, [endpoint]))
    cells, bars = results(rounds)
    report.write("first-answers", versions={"kubernetes": KUBERNETES_VERSION}, cells=cells, bars=bars)
    return 0


if __name__ == "__main__":
    sys.exit(main())
