"""An endpoint that the autoscaler scales, and load through the PoP: open loop, no retries, every answer counted."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from live_platform import Platform, eventually

sys.path.insert(0, str(Path(__file__).parents[1]))  # bench/ is a plain folder

from bench.autoscaler import live_load, live_model
from headrace.contract import names
from headrace.local import tracking_server

NAME = "scaled"
SPACE = f"endpoint-{NAME}"
OBJECT = ("autopilotpodautoscaler", "v1")
REQUEST = live_model.request(0.1)

offered: list[live_load.Load] = []
"""Of the test that runs."""


class Scaled:
    """An endpoint whose pods answer ten requests a second each, one at a time."""

    def __init__(self, platform: Platform) -> None:
        self.platform = platform
        self.model_uri = live_model.ensure(tracking_server.uri(), like=platform.model.model_uri)

    def up(self, *, preview: bool = False, **scale: Any) -> str:
        """Brings the endpoint to these bounds, beside the demo's own."""
        endpoint = {"name": NAME, "model_uri": self.model_uri, "cpu": 0.4, "scale": scale}
        settings = self.platform.settings([self.platform.endpoint, endpoint])
        return self.platform.stack.up(settings, preview=preview)

    def down(self) -> None:
        """Removes the endpoint."""
        self.platform.stack.up(self.platform.settings([self.platform.endpoint]))

    @contextmanager
    def load(self, *rates: float) -> Iterator[live_load.Load]:
        """These requests a second, one number a second, and then the last for as long as the block lasts."""
        to = live_load.target(self.platform.description, NAME, REQUEST)
        with live_load.offered(to, [*rates, *[rates[-1]] * 600]) as load:
            offered.append(load)
            yield load

    def get(self, path: str, *, of: tuple[str, ...] = OBJECT) -> str:
        return self.platform.kubectl("-n", SPACE, "get", *of, "-o", f"jsonpath={{{path}}}")

    @property
    def replicas(self) -> int:
        """What the Deployment asks for."""
        return int(self.get(".spec.replicas", of=("deployment", "v1")))

    @property
    def ready(self) -> int:
        return int(self.get(".status.readyReplicas", of=("deployment", "v1")) or 0)

    def condition(self, kind: str, *, of: str = "v1") -> tuple[str, str]:
        """Status and reason."""
        shown = self.get(".status.conditions", of=(OBJECT[0], of))
        found = {each["type"]: each for each in json.loads(shown or "[]")}
        return (found[kind]["status"], found[kind]["reason"]) if kind in found else ("", "")

    def events(self) -> set[str]:
        return set(self.platform.kubectl("-n", SPACE, "get", "events", "-o", "jsonpath={.items[*].reason}").split())

    def ask(self) -> int:
        return self.platform.ask(REQUEST, path=names.invocations_path(NAME)).status


def settled(scaled: Scaled) -> None:
    """One ready pod, none that leaves, and an autoscaler that knows the load."""
    eventually(lambda: (scaled.replicas, scaled.ready) == (1, 1), seconds=400)
    eventually(lambda: len(scaled.get(".items[*].metadata.uid", of=("pods",)).split()) == 1)
    eventually(lambda: scaled.condition("SignalsTrusted")[0] == "True")


def assert_all_answered(load: live_load.Load) -> None:
    """Requests were sent, and each got its prediction; else shows when those that did not were due, and what came."""
    assert load.answers, "no request was sent"
    failures = load.failures()
    assert not failures, f"{len(failures)} of {len(load.answers)} requests failed: {failures[:20]}"
