"""More than a server can do, arriving at fixed times whatever it answers, and what the cores allow of it.

What it can do is found by the same kind of load: requests at a rate that rises until answers come late or are refused.
A closed loop of a few hundred connections finds too little, as merging makes more of more requests.

The load generator has the server's cores. Where both need more of them than there are, requests wait without bound,
whoever serves: the bars say what the offered load needs, what is left for a refusal, and what the least refusal costs.
"""

import math
import os
import statistics
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench import report
from bench.load import generator
from bench.runtime import systems
from bench.runtime.measure import Table
from bench.runtime.systems import Model, Served

MULTIPLES = (1.5, 2, 3)
"""Of its capacity, offered to a model; the bars are about the last."""
CONNECTIONS = 4000
FILLING_SECONDS = 4.0
"""An overload is judged once the queue has filled, when refusals begin."""
DEADLINE_MS = 500.0
"""A rate is beyond the capacity when more than one prediction in a hundred takes longer from when it was due."""
FIRST_SHARE, STEP, MOST_RATES = 0.7, 1.15, 16
"""The rates tried: from this share of what 64 connections reach, each so many times the one before, so many at most."""
PAIRS = 3
"""Turns of the last multiple, each right after one of the capacity's rate: the machine is not as fast every minute."""
REFUSAL_MS, GOODPUT_SHARE = 50.0, 0.9
JUDGED = ("computing", "forest")
LEAST = "a server that only refuses"


def cells(served: Served, model: Model, seconds: float) -> list[report.Cell]:
    """Capacity, and what happens at multiples of it."""
    row = [1.0] * len(model.columns)
    body = served.body([row])
    first = generator.run(served.job(body, connections=64, seconds=seconds / 3))["requests_per_second"]
    best = search(lambda rate: _offered(served, body, rate, seconds / 3, filling_seconds=1.0), FIRST_SHARE * first)
    least = _least(served, body, MULTIPLES[-1] * best["goodput"], seconds / 3)
    made: dict[tuple[float, str, str], list[float]] = {}
    for times in (*MULTIPLES, *MULTIPLES[-1:] * (PAIRS - 1)):
        base = _offered(served, body, best["rate"], seconds / 2, filling_seconds=1.0)
        result = _offered(served, body, times * best["goodput"], seconds)
        values = {
            "capacity": (best["goodput"], "requests/s"),
            "p99_ms at capacity": (best["p99_ms"], "ms"),
            "goodput at the capacity's rate": (base["goodput"], "requests/s"),
            "goodput share": (result["goodput"] / base["goodput"], "of capacity"),
            "refused": (float(result["statuses"].get("429", 0)), "requests"),
            "refused p99_ms": (result.get("refused_p99_ms", math.nan), "ms"),
            "refused p99_ms, from when it was sent": (result.get("refused_sent_p99_ms", math.nan), "ms"),
            "broken": (float(result["broken"]), "connections"),
            "server at capacity, CPU a prediction": (base["server_ms"], "ms"),
            "server, CPU an answer": (result["server_ms"], "ms"),
            "generator, CPU an answer": (result["generator_ms"], "ms"),
            "generator late p99_ms": (result["late_p99_ms"], "ms"),
            f"{LEAST}, CPU an answer": (least, "ms"),
        }
        for metric, (value, unit) in values.items():
            if math.isfinite(value):
                made.setdefault((times, metric, unit), []).append(value)
    return [
        report.Cell(
            case=f"overload {times:g}x, {model.name}", system="headrace", metric=metric, unit=unit,
            value=statistics.median(values), low=min(values), high=max(values),
        )
        for (times, metric, unit), values in made.items()
    ]  # fmt: skip


def bars(table: Table) -> list[report.Bar]:
    """Whether what is wanted at the last multiple is kept, and what the cores allow."""
    made = []
    for name in JUDGED:
        case = f"overload {MULTIPLES[-1]:g}x, {name}"
        value = {metric: table.value(case, "headrace", metric) for metric in ("goodput share", "refused p99_ms")}
        means = _means(table, case)
        bar = report.at_least(f"{case}: goodput", value["goodput share"], GOODPUT_SHARE, "")
        made.append(replace(bar, rule=bar.rule.rstrip() + means))
        bar = report.at_most(f"{case}: refusals, p99", value["refused p99_ms"], REFUSAL_MS, "ms")
        made.append(replace(bar, rule=bar.rule + means))
    return made


def affordable_refusal(*, cores: float, capacity: float, prediction: float, generator: float) -> float:
    """Seconds of CPU that a refusal may take where the bars hold, all else being as it is; below 0: no refusal does.

    `prediction` and `generator`: seconds of CPU for a prediction in the server, and for any request in the generator.
    """
    offered = MULTIPLES[-1] * capacity
    predicted = GOODPUT_SHARE * capacity
    return (cores - predicted * prediction - offered * generator) / (offered - predicted)


def _means(table: Table, case: str) -> str:
    metrics = ("capacity", "server at capacity, CPU a prediction", "server, CPU an answer", "generator, CPU an answer")
    capacity, prediction, answer, generator, least = (
        table.value(case, "headrace", metric) for metric in (*metrics, f"{LEAST}, CPU an answer")
    )
    cores = os.cpu_count() or 1
    needed = (answer + generator) / 1e3 * MULTIPLES[-1] * capacity
    may, free = (
        1e6 * affordable_refusal(cores=cores, capacity=capacity, prediction=prediction / 1e3, generator=each / 1e3)
        for each in (generator, 0.0)
    )
    if not math.isfinite(needed + may + least):
        return ""
    return (
        f"; load and server need {needed:.2g} of {cores} cores; a refusal may take {max(0.0, may):.1f} µs of CPU,"
        f" {max(0.0, free):.1f} were the load free; {LEAST} takes {1e3 * least:.1f}"
    )


def search(offered: Callable[[float], dict[str, Any]], rate: float) -> dict[str, Any]:
    """The result, with its `rate`, that has the best goodput of rising rates whose predictions come in time.

    Ends after two rates in succession that bring no more, as one may have met a disturbance.
    """
    best: dict[str, Any] = {}
    vain = 0
    for step in range(MOST_RATES):
        result = offered(rate * STEP**step)
        if result.get("p99_ms", math.inf) <= DEADLINE_MS and result["goodput"] > best.get("goodput", 0.0):
            best, vain = {**result, "rate": rate * STEP**step}, 0
        elif (vain := vain + 1) == 2:
            break
    if not best:
        raise RuntimeError(f"no rate is carried; at {rate:.1f}/s answers come late already")
    return best


def _offered(
    served: Served, body: str, rate: float, seconds: float, *, filling_seconds: float = FILLING_SECONDS
) -> dict[str, Any]:
    """What comes of a rate, with the CPU that an answer takes on both sides."""
    job = served.job(body, rate=rate, seconds=seconds, connections=CONNECTIONS)
    before = served.cpu_seconds()
    result = generator.run({**job, "warm_up_seconds": filling_seconds})
    answered = max(1.0, sum(result["statuses"].values()) * (seconds + filling_seconds) / seconds)
    result["server_ms"] = 1e3 * (served.cpu_seconds() - before) / answered
    result["generator_ms"] = 1e3 * result["client_cpu_seconds"] / answered
    return result


def _least(served: Served, body: str, rate: float, seconds: float) -> float:
    """Milliseconds of CPU for an answer of a server that only refuses, at that rate or as near as it gets."""
    port = systems.free_port()
    command = [sys.executable, str(Path(__file__).with_name("refuser.py")), str(port)]
    with subprocess.Popen(command) as process:
        refuser = replace(served, name=LEAST, process=process, port=port)
        try:
            systems.listening(port)
            value: float = _offered(refuser, body, rate, seconds, filling_seconds=1.0)["server_ms"]
        finally:
            process.kill()
    return value
