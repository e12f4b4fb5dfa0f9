"""`make demo`: from nothing to a prediction that came back through PopProxy, LoadBalancer and pod."""

import json
import shlex
import shutil
import ssl
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

from headrace.contract import console, names, telemetry
from headrace.contract.errors import PermanentError, TemporaryError
from headrace.local import cluster, cluster_layout, demo_identity, demo_model, target_cluster, tracking_server
from headrace.local.demo_model import RegisteredModel
from headrace.local.paths import state_directory
from headrace.local.pulumi_stack import STACK, PulumiStack, end_orphans
from headrace.local.target_cluster import TargetCluster
from headrace.local.terminal_progress import Progress
from headrace.local.toolchain import builder

NODE_PORT: Final = 30443
_ANSWER_SECONDS: Final = 60.0
_TABLES: Final = {"volume_gib": 1, "storage_class": cluster_layout.STORAGE_CLASS}


def description_file() -> Path:
    """Path of demo.json, which holds what other tools need to call the demo's endpoint."""
    return state_directory() / "demo.json"


def run() -> dict[str, Any]:
    """Brings everything up, or up to date, sends a request for a prediction, and returns the content of demo.json."""
    progress = Progress("demo", steps=5 + len(builder.missing(with_cluster=target_cluster.embedded_wanted())))
    programs = builder.deployer(progress)
    # At once: one waits for the kernel and the network, the other for imports.
    with ThreadPoolExecutor(2) as pool:
        cluster_there, model_there = pool.submit(target_cluster.ensure, progress), pool.submit(_model, progress)
        target, model = cluster_there.result(), model_there.result()
    host = target.host or demo_identity.first_node_address(target.kubeconfig)
    stack = PulumiStack(programs=programs)
    with progress.step("pulumi up: build images, deploy the platform and the endpoint"):
        stack.up(settings(target, host, [endpoint(target, model.model_uri)]))
    outputs = stack.outputs()
    authority = state_directory() / "ca.crt"
    authority.write_text(outputs["ca_certificate"])
    description = {
        "url": outputs["url"],
        "token": demo_identity.token(target.kubeconfig),
        "ca_file": str(authority),
        "endpoint": demo_model.NAME,
        "kubeconfig": str(target.kubeconfig),
        "stack": STACK,
        "traced": target.embedded,
    }
    description_file().touch(mode=0o600)
    description_file().write_text(json.dumps(description, indent=1) + "\n")
    with progress.step("ask for a prediction"):
        answer = predict(description, model.request)
    if answer.get("predictions") != model.expected:
        raise PermanentError(
            f"{demo_model.NAME} answered {answer}, must be {model.expected}, as when it was trained; "
            "see docs/operations.md"
        )
    _show(description, model, answer)
    return description


def settings(target: TargetCluster, host: str, endpoints: list[dict[str, Any]]) -> dict[str, Any]:
    """Configuration of the stack for this machine."""
    return {
        "kubeconfig": str(target.kubeconfig),
        "image_delivery": target.image_delivery,
        "tracking_uri": tracking_server.uri(),
        "exposure": "node_port",
        "host": host,
        "node_port": NODE_PORT,
        "platform_replicas": 1,
        "endpoints": endpoints,
        **({"inference_tables": _TABLES} if target.embedded else {}),
    }


def endpoint(target: TargetCluster, model_uri: str) -> dict[str, Any]:
    """The demo's endpoint as the stack's configuration names it: recorded where the cluster is known to have volumes,
    so that there is something to look at."""
    recorded = {"inference_table": {"uri": f"/tables/{demo_model.NAME}"}} if target.embedded else {}
    return {"name": demo_model.NAME, "model_uri": model_uri, **recorded}


def predict(description: dict[str, Any], body: dict[str, Any], *, seconds: float = _ANSWER_SECONDS) -> dict[str, Any]:
    """One prediction through the whole path, tried again while the platform that has just started cannot be reached.

    Raises TemporaryError with the last answer when no request was successful within `seconds`.
    """
    context = ssl.create_default_context(cafile=description["ca_file"])
    request = urllib.request.Request(
        description["url"] + names.invocations_path(description["endpoint"]),
        data=json.dumps(body).encode(),
        headers={
            "Authorization": f"Bearer {description['token']}", "Content-Type": "application/json",
            telemetry.FORCE_HEADER: demo_model.NAME,
        },
    )  # fmt: skip
    deadline = time.monotonic() + seconds
    while True:
        try:
            with urllib.request.urlopen(request, context=context, timeout=30) as response:
                answer: dict[str, Any] = json.load(response)
                return answer
        except urllib.error.HTTPError as error:
            seen = f"{error.code} {error.read(400).decode(errors='replace')}"
        except (urllib.error.URLError, OSError) as error:
            seen = str(error)
        if time.monotonic() > deadline:
            raise TemporaryError(
                f"no prediction came from {request.full_url} within {seconds:.0f} s; the last answer: {seen}"
            )
        time.sleep(0.5)


def down() -> None:
    """Removes what the demo made: the stack, the cluster if it is ours, the registry, and all state but the cache."""
    state = state_directory()
    progress = Progress("down", steps=2)
    if description_file().exists():
        description = json.loads(description_file().read_text())
        kubeconfig = Path(description["kubeconfig"])
        if kubeconfig.is_file() and not target_cluster.embedded_wanted():
            with progress.step("pulumi destroy"):
                PulumiStack(programs=builder.deployer(progress)).destroy()
            demo_identity.remove(kubeconfig)
            target_cluster.remove(kubeconfig)
    with progress.step("stop what runs"):
        end_orphans()
        cluster.stop()
        tracking_server.stop()
    with progress.step("delete its files"):  # a hundred thousand: seconds on a good disk, minutes on a slow one
        shutil.rmtree(state, ignore_errors=True)


def _model(progress: Progress) -> RegisteredModel:
    with progress.step("train and register a model in MLflow"):
        return demo_model.ensure(tracking_server.start())


def _show(description: dict[str, Any], model: RegisteredModel, answer: dict[str, Any]) -> None:
    body = state_directory() / "request.json"
    body.write_text(json.dumps(model.request, indent=1) + "\n")
    address = description["url"] + names.invocations_path(description["endpoint"])
    token = f'$(.venv/bin/python -c \'import json; print(json.load(open("{description_file()}"))["token"])\')'
    print(
        f"\nprediction: {json.dumps(answer)}\n\nAsk again:\n\n"
        f"curl --cacert {description['ca_file']} {address} \\\n"
        f'  -H "Authorization: Bearer {token}" -H "Content-Type: application/json" \\\n'
        f"  -d {shlex.quote(f'@{body}')}\n\n"
        f"Look at it:   {description['url']}{console.ROOT}/     in a browser; log in with what this prints:\n"
        f"              echo {token}\n"
        f"              Its certificate is signed by {description['ca_file']}.\n"
        f"{_traced(description)}\n"
        f"Look around:  export KUBECONFIG={description['kubeconfig']}\n"
        "              .venv/bin/headrace status     what serves, and on how many pods\n"
        f"              .venv/bin/headrace why {demo_model.NAME}   why so\n"
        "              .venv/bin/headrace doctor     whether anything is wrong\n"
        f"              {tracking_server.uri()} is the model registry\n"
        "Remove it:    make down",
        flush=True,
    )


def _traced(description: dict[str, Any]) -> str:
    """Where the request above is, where the demo keeps requests; lines of `_show`."""
    if not description["traced"]:
        return ""
    return (
        f"              The request above is there, with its trace: {demo_model.NAME}, Your last requests, its row,\n"
        f"              Show its trace; and as rows of Delta tables in {cluster_layout.folders().tables}.\n"
    )
