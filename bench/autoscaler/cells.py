"""The cells: which load meets which service, with which cold start. A policy sees nothing of it but its setting."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from bench.autoscaler import loads, services
from bench.autoscaler.loads import Floats
from bench.autoscaler.policies import Setting
from bench.autoscaler.run import Case
from bench.autoscaler.services import Service

SHARE = 0.7
"""Soft target over best concurrency, the same for every policy that takes one."""
LIMIT = 2.0
"""maxReplicas over the pods that the highest minute needs."""
STARTS = (1.5, 8.4, 14.1, 18.7, 22.7, 26.9, 31.8, 37.0, 42.0, 51.9)
"""Cold starts between the published quantiles of a production fleet (p1, p50, p90, p99 given; Alibaba 2026)."""


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One load on one service."""

    name: str
    about: str
    service: Service
    rates: Floats | None = None
    """Requests per second; None: `times` are given."""
    times: Callable[[np.random.Generator], Floats] | None = None
    cold_start_seconds: float
    warm_seconds: int = 120
    min_replicas: int = 1
    capacity_from: float | None = None
    trace: bool = False
    """A recorded load: its saving is reported."""
    diurnal: bool = False
    """Held to the bar on pod-seconds over the clairvoyant bound."""
    limit: float = LIMIT
    starts: tuple[float, ...] = ()
    seconds: int = 0
    peers: bool = True

    def case(self, seed: int) -> Case:
        """The cell with one seed drawn: the same arrivals and work for every policy."""
        random = np.random.default_rng(1000 + seed)
        arrivals = self.times(random) if self.times is not None else loads.poisson(_known(self.rates), random)
        seconds = self.seconds if self.rates is None else self.rates.size
        service = self.service
        per_second = np.bincount(arrivals.astype(np.int64), minlength=seconds)[:seconds].astype(np.float64)
        width = min(60, seconds)
        peak = float(np.convolve(per_second, np.ones(width) / width, "valid").max())
        first = float(per_second[:width].mean()) if self.capacity_from is None else float(_known(self.rates)[0])
        needed = peak / service.pod_rate
        return Case(
            name=self.name,
            service=service,
            arrivals=arrivals,
            work=service.draw(random, arrivals.size),
            seconds=seconds,
            warm_seconds=self.warm_seconds,
            setting=Setting(
                concurrency=service.best,
                target=SHARE * service.best,
                initial=max(1, math.ceil(first / service.pod_rate / SHARE)),
                min_replicas=self.min_replicas,
                max_replicas=max(2, math.ceil(self.limit * needed / SHARE)),
                cores=service.cores,
            ),
            cold_start_seconds=self.cold_start_seconds,
            needed=needed,
            capacity_from=self.capacity_from,
            starts=self.starts,
            seed=seed,
        )


def _known(rates: Floats | None) -> Floats:
    assert rates is not None
    return rates


def _busiest(rates: Floats, seconds: int) -> Floats:
    """The stretch of that length with the highest minute in its middle."""
    minute = np.convolve(rates, np.ones(60), "same")
    start = int(np.clip(int(minute.argmax()) - seconds // 2, 0, rates.size - seconds))
    return rates[start : start + seconds]


def cells() -> list[Cell]:
    """The table, in the order of the report."""
    workers, whole_day = services.WORKERS, slice(0, 1440)
    burst = loads.azure_functions(minutes=whole_day, rank=0) * 20.0
    llm_times = loads.azure_llm_times()
    return [
        Cell(
            name="steady",
            about="1,000 rps, Poisson",
            service=services.XGBOOST,
            rates=loads.steady(1000, 600),
            cold_start_seconds=10,
        ),
        Cell(
            name="step",
            about="10 to 10,000 rps at once, 2 min, and back",
            service=workers,
            rates=loads.step(10, 10_000, before=150, during=120, after=90),
            cold_start_seconds=10,
            capacity_from=150,
        ),
        Cell(
            name="ramp60",
            about="10 to 10,000 rps in 60 s, 2 min at the top",
            service=workers,
            rates=loads.ramp(10, 10_000, before=150, rising=60, during=120),
            cold_start_seconds=30,
            capacity_from=150,
        ),
        Cell(
            name="spike",
            about="200 rps, tenfold for 20 s every 5 min",
            service=workers,
            rates=loads.spikes(200, 10, every=300, lasting=20, seconds=1530),
            cold_start_seconds=10,
        ),
        Cell(
            name="zigzag",
            about="100 to 1,000 rps, period 40 s",
            service=workers,
            rates=loads.zigzag(100, 1000, period=40, seconds=760),
            cold_start_seconds=10,
        ),
        Cell(
            name="diurnal",
            about="sine day in 45 min, mean 400 rps, peak/mean 3, 10 % noise",
            service=workers,
            rates=loads.diurnal(400, 3, seconds=2700, noise=0.1, seed=1),
            cold_start_seconds=10,
            diurnal=True,
        ),
        Cell(
            name="diurnal-slow-start",
            about="the same with a 30 s cold start",
            service=workers,
            rates=loads.diurnal(400, 3, seconds=2700, noise=0.1, seed=1),
            cold_start_seconds=30,
            diurnal=True,
        ),
        Cell(
            name="flash-crowd",
            about="100 rps, tenfold within minutes (World Cup's steepest: 1.46 a minute), decay",
            service=workers,
            rates=loads.flash_crowd(100, 10, seconds=1920),
            cold_start_seconds=30,
        ),
        Cell(
            name="microburst",
            about="10 requests of 10 ms at once each second, one worker a pod (knative#15000)",
            service=services.MICRO,
            times=lambda _: loads.microbursts(10, 900),
            seconds=900,
            cold_start_seconds=2,
            limit=80,
        ),
        Cell(
            name="idle-wake",
            about="5 rps for a minute every 15 min, scale to zero",
            service=services.SKLEARN,
            rates=np.tile(np.concatenate([loads.steady(5, 60), loads.steady(0, 840)]), 2),
            cold_start_seconds=2,
            min_replicas=0,
        ),
        Cell(
            name="sklearn-diurnal",
            about="2 ms requests, mean 1,000 rps, peak/mean 2",
            service=services.SKLEARN,
            rates=loads.diurnal(1000, 2, seconds=1200, noise=0.05, seed=2),
            cold_start_seconds=2,
            diurnal=True,
        ),
        Cell(
            name="agent-ramp",
            about="20 s requests, 2 to 40 rps in 5 min, 15 min at the top",
            service=services.AGENT,
            rates=loads.ramp(2, 40, before=150, rising=300, during=900),
            cold_start_seconds=30,
        ),
        Cell(
            name="image",
            about="26 s requests on a GPU, 0.3 rps, fourfold for 10 min; cold starts of a real fleet",
            service=services.IMAGE,
            rates=np.concatenate([loads.steady(0.3, 900), loads.steady(1.2, 600), loads.steady(0.3, 900)]),
            cold_start_seconds=24,
            starts=STARTS,
            warm_seconds=300,
        ),
        Cell(
            name="azure-llm",
            about="Azure LLM inference 2023 (code), one H100 a pod; cold starts of a real fleet",
            service=services.LLM,
            times=lambda _: llm_times,
            seconds=3436,
            cold_start_seconds=24,
            starts=STARTS,
            trace=True,
        ),
        Cell(
            name="autothrottle-diurnal",
            about="Autothrottle diurnal x 2",
            service=workers,
            rates=loads.autothrottle("diurnal", 2)[:1620],
            cold_start_seconds=10,
            trace=True,
            diurnal=True,
        ),
        Cell(
            name="autothrottle-bursty",
            about="Autothrottle bursty x 2",
            service=workers,
            rates=loads.autothrottle("bursty", 2)[:1620],
            cold_start_seconds=10,
            trace=True,
        ),
        Cell(
            name="azure-functions-all",
            about="Azure Functions 2019, 200 functions together x 10, busiest 40 min",
            service=workers,
            rates=_busiest(loads.azure_functions(minutes=whole_day, rank=None) * 10.0, 2400),
            cold_start_seconds=10,
            trace=True,
        ),
        Cell(
            name="azure-functions-one",
            about="its burstiest busy function x 20, busiest 40 min",
            service=workers,
            rates=_busiest(burst, 2400),
            cold_start_seconds=10,
            trace=True,
        ),
    ]


def held_out() -> list[Cell]:
    """Loads that were never run while the engine was made: a check on constants that were chosen with the table in
    sight. Other functions of the Azure trace on two services, and shapes with other periods, heights and starts."""
    whole_day = slice(0, 1440)
    found = []
    for rank, service, factor in (
        (1, services.WORKERS, 20.0),
        (2, services.WORKERS, 20.0),
        (3, services.XGBOOST, 60.0),
        (4, services.WORKERS, 20.0),
    ):
        rates = loads.azure_functions(minutes=whole_day, rank=rank) * factor
        for start in (20.0, 30.0):
            found.append(
                Cell(
                    name=f"azure-function-{rank}, {service.name}, start {start:.0f} s",
                    about=f"Azure Functions 2019, busy function {rank} x {factor:.0f}, busiest 40 min",
                    service=service,
                    rates=_busiest(rates, 2400),
                    cold_start_seconds=start,
                    trace=True,
                )
            )
    for about, rates, start in (
        (
            "sine day in 40 min, mean 900 rps, peak/mean 2, 3 % noise",
            loads.diurnal(900, 2, seconds=2400, noise=0.03, seed=7),
            20,
        ),
        ("20 to 3,000 rps in 150 s, 10 min at the top", loads.ramp(20, 3000, before=150, rising=150, during=600), 15),
        ("300 rps, fivefold for 45 s every 3 min 20 s", loads.spikes(300, 5, every=200, lasting=45, seconds=1800), 15),
        ("200 to 800 rps, period 110 s", loads.zigzag(200, 800, period=110, seconds=1500), 20),
    ):
        found.append(
            Cell(name=about, about="synthetic", service=services.WORKERS, rates=rates, cold_start_seconds=float(start))
        )
    return found


def unlimited(found: list[Cell]) -> list[Cell]:
    """The cells of the second table: the same without a replica limit to speak of."""
    names = ("step", "ramp60", "spike", "azure-functions-all", "azure-functions-one")
    return [
        Cell(**{**{field: getattr(cell, field) for field in Cell.__dataclass_fields__}, "limit": 24.0})
        for cell in found
        if cell.name in names
    ]


def ramp_bar() -> Cell:
    """The ramp of the bar: long enough at the top that what no reactive policy can serve is under a hundredth."""
    return Cell(
        name="ramp60-30min",
        about="10 to 10,000 rps in 60 s, 30 min at the top",
        service=services.WORKERS,
        rates=loads.ramp(10, 10_000, before=150, rising=60, during=1800),
        cold_start_seconds=30,
        capacity_from=150,
        peers=False,
    )
