"""`make demo`: from nothing to a prediction that came back through PoP proxy, load balancer and pod."""

import json
import shlex
import shutil
import ssl
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

from headrace.contract import names
from headrace.contract.errors import PermanentError, TemporaryError
from headrace.stacks.local import caller, cluster, demo_model, registry, target
from headrace.stacks.local.demo_model import RegisteredModel
from headrace.stacks.local.deployment import STACK, Deployment, end_orphans
from headrace.stacks.local.places import state_directory
from headrace.stacks.local.progress import Progress
from headrace.stacks.local.target import Target
from headrace.stacks.local.toolchain import builder

NODE_PORT: Final = 30443
_ANSWER_SECONDS: Final = 60.0


def description_file() -> Path:
    """demo.json: what other tools need to call the demo's endpoint."""
    return state_directory() / "demo.json"


def run() -> dict[str, Any]:
    """Brings everything up, or up to date, asks for a prediction, and returns what demo.json says."""
    progress = Progress("demo", steps=5 + len(builder.missing(with_cluster=target.embedded_wanted())))
    programs = builder.deployer(progress)
    place, model = _together(lambda: target.ensure(progress), lambda: _model(progress))
    host = place.host or caller.first_node_address(place.kubeconfig)
    deployment = Deployment(programs=programs)
    with progress.step("pulumi up: build images, deploy the platform and the endpoint"):
        deployment.up(settings(place, host, [{"name": demo_model.NAME, "model_uri": model.model_uri}]))
    outputs = deployment.outputs()
    authority = state_directory() / "ca.crt"
    authority.write_text(outputs["ca_certificate"])
    description = {
        "url": outputs["url"],
        "token": caller.token(place.kubeconfig),
        "ca_file": str(authority),
        "endpoint": demo_model.NAME,
        "kubeconfig": str(place.kubeconfig),
        "stack": STACK,
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


def settings(place: Target, host: str, endpoints: list[dict[str, Any]]) -> dict[str, Any]:
    """Configuration of the stack for this machine."""
    return {
        "kubeconfig": str(place.kubeconfig),
        "image_delivery": place.image_delivery,
        "tracking_uri": registry.uri(),
        "exposure": "node_port",
        "host": host,
        "node_port": NODE_PORT,
        "platform_replicas": 1,
        "endpoints": endpoints,
    }


def predict(description: dict[str, Any], body: dict[str, Any], *, seconds: float = _ANSWER_SECONDS) -> dict[str, Any]:
    """One prediction through the whole path; a platform that came up this second may need a moment to be reached.

    Raises TemporaryError with the last answer when none was successful in time.
    """
    context = ssl.create_default_context(cafile=description["ca_file"])
    request = urllib.request.Request(
        description["url"] + names.invocations_path(description["endpoint"]),
        data=json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {description['token']}", "Content-Type": "application/json"},
    )
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
        if kubeconfig.is_file() and not target.embedded_wanted():
            with progress.step("pulumi destroy"):
                Deployment(programs=builder.deployer(progress)).destroy()
            caller.remove(kubeconfig)
            target.remove(kubeconfig)
    with progress.step("stop what runs"):
        end_orphans()
        cluster.stop()
        registry.stop()
    with progress.step("delete its files"):  # a hundred thousand: seconds on a good disk, minutes on a slow one
        shutil.rmtree(state, ignore_errors=True)


def _model(progress: Progress) -> RegisteredModel:
    with progress.step("train and register a model in MLflow"):
        return demo_model.ensure(registry.start())


def _together(first: Callable[[], Target], second: Callable[[], RegisteredModel]) -> tuple[Target, RegisteredModel]:
    """Runs both at once: one waits for the kernel and the network, the other for Python to import."""
    with ThreadPoolExecutor(2) as pool:
        one, two = pool.submit(first), pool.submit(second)
        return one.result(), two.result()


def _show(description: dict[str, Any], model: RegisteredModel, answer: dict[str, Any]) -> None:
    body = state_directory() / "request.json"
    body.write_text(json.dumps(model.request, indent=1) + "\n")
    address = description["url"] + names.invocations_path(description["endpoint"])
    token = f'$(.venv/bin/python -c \'import json; print(json.load(open("{description_file()}"))["token"])\')'
    print(f"\nprediction: {json.dumps(answer)}\n\nAsk again:\n")
    print(
        f"curl --cacert {description['ca_file']} {address} \\\n"
        f'  -H "Authorization: Bearer {token}" -H "Content-Type: application/json" \\\n'
        f"  -d {shlex.quote(f'@{body}')}\n"
    )
    print(
        f"Look around:  KUBECONFIG={description['kubeconfig']} kubectl get modelendpoints -A\n"
        f"              {registry.uri()} is the model registry\n"
        "Remove it:    make down",
        file=sys.stdout,
        flush=True,
    )
