"""Loads: requests per second, second by second. Synthetic shapes, and traces of real systems (traces/README.md)."""

import csv
import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
TRACES = Path(__file__).parent / "traces"


def steady(rate: float, seconds: int) -> Floats:
    """One rate."""
    return np.full(seconds, float(rate))


def step(low: float, high: float, *, before: int, during: int, after: int) -> Floats:
    """Low, at once high, at once low again."""
    return np.concatenate([steady(low, before), steady(high, during), steady(low, after)])


def ramp(low: float, high: float, *, before: int, rising: int, during: int) -> Floats:
    """Low, a straight rise, high."""
    return np.concatenate([steady(low, before), np.linspace(low, high, rising), steady(high, during)])


def spikes(base: float, factor: float, *, every: int, lasting: int, seconds: int) -> Floats:
    """`factor` times the base for `lasting` seconds, once in every `every`."""
    time = np.arange(seconds)
    return np.where(time % every >= every - lasting, base * factor, base).astype(np.float64)


def zigzag(low: float, high: float, *, period: int, seconds: int) -> Floats:
    """A triangle wave; a period of twice the look-back is the worst for a window."""
    phase = (np.arange(seconds) % period) / period
    return low + (high - low) * (1.0 - np.abs(2.0 * phase - 1.0))


def diurnal(mean: float, peak_over_mean: float, *, seconds: int, noise: float, seed: int) -> Floats:
    """One day squeezed into `seconds`: a raised sine of that peak over mean, with relative noise each second."""
    phase = np.sin(np.pi * (np.arange(seconds) + 0.5) / seconds)
    power = 1.0
    while np.mean(phase**power) > 1.0 / peak_over_mean:
        power += 0.05
    shape = phase**power / np.mean(phase**power)
    jitter = 1.0 + noise * np.random.default_rng(seed).standard_normal(seconds)
    return np.maximum(mean * shape * jitter, 0.0)


def flash_crowd(base: float, peak_over_base: float, *, seconds: int) -> Floats:
    """A synthetic match day: quiet, a rise of 1.46 a minute at its steepest (World Cup 1998), a plateau, a decay."""
    time = np.arange(seconds, dtype=np.float64)
    rise = 1.46 ** ((time - 0.4 * seconds) / 60.0)
    fall = np.where(time > 0.6 * seconds, 0.8 ** ((time - 0.6 * seconds) / 60.0), 1.0)
    return base * (1.0 + (peak_over_base - 1.0) * rise / (1.0 + rise) * fall)


def microbursts(size: int, seconds: int) -> Floats:
    """Arrival times: `size` requests together once a second."""
    return np.repeat(np.arange(seconds, dtype=np.float64) + 0.5, size)


def autothrottle(name: str, factor: float) -> Floats:
    """Microsoft Autothrottle: one hour of real load shape, `diurnal` or `bursty`, times a factor."""
    return np.loadtxt(TRACES / "autothrottle" / f"{name}.txt") * factor


def azure_llm_times() -> Floats:
    """Azure LLM inference 2023, code: arrival times in seconds from the first."""
    with (TRACES / "azure-llm-2023" / "AzureLLMInferenceTrace_code.csv").open() as file:
        rows = csv.reader(file)
        next(rows)
        stamps = [datetime.datetime.fromisoformat(row[0][:26]).timestamp() for row in rows]
    times = np.sort(np.array(stamps))
    return times - times[0]


def azure_functions(*, minutes: slice, rank: int | None) -> Floats:
    """Azure Functions 2019: all functions together (rank None), or the one with the rank-th highest peak over mean
    among those called at least once a second on average, in that part of the day; spread evenly over each minute."""
    counts = azure_functions_counts()
    chosen = counts.sum(axis=0)
    if rank is not None:
        busy = counts[counts.mean(axis=1) >= 60.0]
        order = np.argsort(-busy.max(axis=1) / busy.mean(axis=1))
        chosen = busy[order[rank]]
    return np.repeat(chosen[minutes] / 60.0, 60)


def azure_functions_counts() -> Floats:
    """Azure Functions 2019: invocations of each of the 200 functions in each minute of the day."""
    with (TRACES / "azure-functions-2019" / "200_inv.csv").open() as file:
        rows = csv.reader(file)
        next(rows)
        return np.array([[float(value) for value in row[3:]] for row in rows])


def poisson(rates: Floats, random: np.random.Generator) -> Floats:
    """Arrival times of a Poisson stream with those rates, one a second."""
    counts = random.poisson(rates)
    starts = np.repeat(np.arange(rates.size, dtype=np.float64), counts)
    times: Floats = starts + random.random(starts.size)
    times.sort()
    return times
