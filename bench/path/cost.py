"""Cost: CPU, memory and time of each hop of a chain under load, chains in turns."""

import json
import statistics
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.bodies import Form
from bench.load import generator
from bench.path import chains, pods, processes
from bench.path.chains import Chain
from bench.report import Cell
from headrace.contract import names

BODY: Final = json.dumps({"dataframe_split": {"columns": [f"feature_{at}" for at in range(30)], "data": [[1.5] * 30]}})
CONNECTIONS: Final = (64, 1)
PAIRS: Final = ((names.POP_PROXY, chains.EDGE), (names.LOAD_BALANCER, chains.INNER))
"""Our hops, each with the bare one that it is compared with."""
COSTS: Final = "CPU, over a bare hop's"
SHARE: Final = "CPU of the busiest thread"
ADDED: Final = "p50 added to the pod's"


@dataclass(frozen=True, kw_only=True)
class Turn:
    """One load on one chain."""

    answered: int
    requests_per_second: float
    p50_ms: float
    p99_ms: float
    micros: Mapping[str, float]
    """CPU microseconds a request, by hop."""
    busiest: Mapping[str, float]
    """Share of the CPU of a hop's workers that the busiest of them had."""
    memory: Mapping[str, float]
    """Resident MiB, by hop."""


def load(
    chain: Chain, *, connections: int, seconds: float, body: str = BODY, begins: Callable[[], None] = lambda: None
) -> Turn:
    """One turn; `begins` is called when all connections are open. Raises RuntimeError when an answer is not 200."""
    form = Form(name=chain.name, path=chain.path, headers=tuple(chain.headers.items()), body=body.encode())
    before: dict[str, dict[tuple[int, str], int]] = {}

    def opened() -> None:
        begins()
        before.update({hop: processes.cpu_by_thread(pid) for hop, pid in chain.hops.items()})

    job = {**form.job("localhost", chain.port), "ca_file": chain.ca_file}
    result = generator.run({**job, "connections": connections, "seconds": seconds}, opened)
    after = {hop: processes.cpu_by_thread(pid) for hop, pid in chain.hops.items()}
    answered = sum(result["statuses"].values())
    if set(result["statuses"]) != {"200"} or result["broken"]:
        raise RuntimeError(f"{chain.name}: statuses {result['statuses']}, {result['broken']} connections broken")
    micros, busiest = {}, {}
    for hop in chain.hops:
        spent = {thread: after[hop][thread] - before[hop].get(thread, 0) for thread in after[hop]}
        workers = [value for (_, name), value in spent.items() if name.startswith("wrk:")]
        micros[hop] = sum(spent.values()) / answered / 1e3
        busiest[hop] = max(workers) / max(1, sum(workers))
    return Turn(
        answered=answered,
        requests_per_second=result["requests_per_second"],
        p50_ms=result["p50_ms"],
        p99_ms=result["p99_ms"],
        micros=micros,
        busiest=busiest,
        memory={hop: processes.resident_mebibytes(pid) for hop, pid in chain.hops.items()},
    )


def in_turns(ways: Sequence[Chain], *, connections: int, turns: int, seconds: float) -> dict[str, list[Turn]]:
    """Each chain's turns, after a short one that is not kept; a disturbance of the machine meets all alike."""
    for chain in ways:
        load(chain, connections=connections, seconds=0.3)
    found: dict[str, list[Turn]] = {chain.name: [] for chain in ways}
    for _ in range(turns):
        for chain in ways:
            found[chain.name].append(load(chain, connections=connections, seconds=seconds))
    return found


def measure(*, turns: int = 5, seconds: float = 1.0) -> list[Cell]:
    """Both proxies beside two bare ones and the pod alone, with a pod that costs nothing and with a real one.

    Needs neither a cluster nor anything that listens already.
    """
    cells: list[Cell] = []
    with tempfile.TemporaryDirectory() as folder, pods.responder() as light, pods.front(Path(folder)) as real:
        for upstream, port in (("a pod that costs nothing", light), ("a front and its model", real)):
            with running(Path(folder) / str(port), port) as ways:
                for connections in CONNECTIONS:
                    case = f"{upstream}, {connections} connection{'s' if connections > 1 else ''}"
                    cells += cells_of(case, in_turns(ways, connections=connections, turns=turns, seconds=seconds))
    return cells


@contextmanager
def running(folder: Path, pod: int) -> Iterator[list[Chain]]:
    """The three ways to one pod; their processes end with the block."""
    folder.mkdir()
    ways: list[Chain] = []
    try:
        ways.append(chains.product(folder / "product", (pod,)))
        ways.append(chains.bare_envoys(folder / "two", pod, ways[0].headers))
        ways.append(chains.bare_envoys(folder / "one", pod, ways[0].headers, hops=1))
        yield [*ways, chains.straight(pod)]
    finally:
        for chain in ways:
            chain.stop()


def cells_of(case: str, found: Mapping[str, Sequence[Turn]]) -> list[Cell]:
    """Medians over turns; what compares two chains compares them turn by turn."""
    cells = [cell for system, turns in found.items() for cell in _of_chain(case, system, turns)]
    ours, bare, pod = (found[name] for name in (chains.PRODUCT, chains.BARE, chains.POD))
    for hop, plain in PAIRS:
        ratios = [one.micros[hop] / other.micros[plain] for one, other in zip(ours, bare, strict=True)]
        cells.append(_cell(case, chains.PRODUCT, f"{hop}: {COSTS}", "x", ratios))
    for name, turns in ((chains.PRODUCT, ours), (chains.BARE, bare)):
        added = [one.p50_ms - other.p50_ms for one, other in zip(turns, pod, strict=True)]
        cells.append(_cell(case, name, ADDED, "ms", added))
    return cells


def _of_chain(case: str, system: str, turns: Sequence[Turn]) -> Iterator[Cell]:
    for metric, unit, value in (
        ("requests", "requests/s", lambda turn: turn.requests_per_second),
        ("p50", "ms", lambda turn: turn.p50_ms),
        ("p99", "ms", lambda turn: turn.p99_ms),
    ):
        yield _cell(case, system, metric, unit, map(value, turns))
    for hop in turns[0].micros:
        yield _cell(case, system, f"{hop}: CPU", "us a request", [turn.micros[hop] for turn in turns])
        yield _cell(case, system, f"{hop}: {SHARE}", "of all", [turn.busiest[hop] for turn in turns])
        yield _cell(case, system, f"{hop}: memory", "MiB", [turn.memory[hop] for turn in turns])


def _cell(case: str, system: str, metric: str, unit: str, values: Iterable[float]) -> Cell:
    kept = list(values)
    middle = statistics.median(kept)
    return Cell(case=case, system=system, metric=metric, value=middle, unit=unit, low=min(kept), high=max(kept))
