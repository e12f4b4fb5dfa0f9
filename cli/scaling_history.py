"""ScalingHistory: what the autoscaler ordered for an endpoint, beside the load that the console remembers."""

# ruff: noqa: PLC0415 -- who asks no console waits for no HTTP client.

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from headrace.cli.caller import Caller
from headrace.contract import console
from headrace.contract.errors import TemporaryError

_TIMEOUT_SECONDS: Final = 10.0
Object = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True, order=True)
class Order:
    """One change that the autoscaler ordered."""

    time: datetime
    version: str
    replicas: int
    concurrency: int
    """Requests that a pod admits at once."""
    demand: float | None
    """Requests at once that it expected; None where it did not say."""
    reasons: tuple[str, ...]
    """Codes with sentences."""

    def document(self) -> dict[str, Any]:
        """As JSON has it."""
        return {**vars(self), "time": self.time.isoformat(), "reasons": list(self.reasons)}


@dataclass(frozen=True, kw_only=True)
class Load:
    """What was measured, as the console's page plots it."""

    times: tuple[int, ...]
    """Seconds since 1970."""
    lines: Mapping[str, Mapping[str, list[float | None]]]
    """By the console's name of a plot (pods, concurrency, limit, …) and the version: a value for each time."""

    def document(self) -> dict[str, Any]:
        """As JSON has it."""
        return {"times": list(self.times), "lines": self.lines}


def orders(autoscalers: Iterable[Object], since: datetime | None) -> list[Order]:
    """By time: those since then, and of each version the last before, which was in force."""
    found: list[Order] = []
    for autoscaler in autoscalers:
        ours = sorted(
            Order(
                time=datetime.fromisoformat(entry["time"]),
                version=autoscaler["metadata"]["name"],
                replicas=int(entry["replicas"]),
                concurrency=int(entry["concurrency"]),
                demand=(entry.get("inputs") or {}).get("demand"),
                reasons=tuple(entry.get("reasons", ())),
            )
            for entry in autoscaler.get("status", {}).get("decisions", ())
        )
        before = [] if since is None else [order for order in ours if order.time < since][-1:]
        found += before + [order for order in ours if since is None or order.time >= since]
    return sorted(found)


def load(endpoint: str, who: Caller) -> Load:
    """Of the last ten minutes, as the console shows it to that caller. Raises TemporaryError."""
    import requests

    address = f"{who.url}{console.history_path(endpoint)}"
    try:
        answer = requests.get(
            address, headers=who.headers, verify=who.verify, timeout=_TIMEOUT_SECONDS, allow_redirects=False
        )
        if answer.status_code == 200:
            document = answer.json()
            return Load(
                times=tuple(document["times"]), lines={plot["key"]: plot["lines"] for plot in document["plots"]}
            )
    except (requests.RequestException, ValueError, KeyError, TypeError) as error:
        raise TemporaryError(f"{address} cannot be read: {error}") from error
    raise TemporaryError(
        f"{address} answered {answer.status_code}, must answer 200: the platform needs a console and a Prometheus, and "
        "the endpoint must admit the caller"
    )
