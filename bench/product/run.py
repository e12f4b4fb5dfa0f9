"""Runs the cases one after the other and keeps what each came to."""

import json
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from bench.product import bars, jobs, metrics_server, plan, watch
from bench.product.outcome import FIXED, OURS, Outcome
from bench.product.peers import Arena, Peer
from bench.product.plan import Case
from bench.product.stage import Endpoint, Stage
from bench.product.watch import Watch, Watched
from headrace.contract.errors import HeadraceError, TemporaryError

PEERED: Final = "CSV"
"""The one form besides its best that a peer is asked in: MLflow's own server is the only other that reads it."""
_FAULTS: Final = (HeadraceError, RuntimeError, OSError, LookupError, subprocess.SubprocessError, SystemExit)
"""What one case may end with; the others are measured all the same."""


class Run:
    """One run of the benchmark; `outcomes` grows."""

    def __init__(self, stage: Stage, cases: Sequence[Case], folder: Path) -> None:
        """`folder` gets ledgers and looks."""
        self.stage, self.cases, self.folder = stage, cases, folder
        self.outcomes: list[Outcome] = []
        self.failures: list[str] = []
        """Cases that could not be measured, and why."""
        self._begun = time.monotonic()
        self._left = sum(case.expected_seconds for case in cases)

    def all(self) -> None:
        """Ours, case by case; then the peers, model by model."""
        for case in self.cases:
            self._say(f"{case.name}: {self._left} s of the plan are left")
            try:
                self._ours(case)
            except _FAULTS as error:
                self.failures.append(f"{case.name}: {error}")
                self._say(self.failures[-1])
            self._left -= case.expected_seconds
        if peered := [case for case in self.cases if case.peers]:
            try:
                self._peers(peered)
            except _FAULTS as error:
                self.failures.append(f"peers: {error}")
                self._say(self.failures[-1])

    def _ours(self, case: Case) -> None:
        endpoint = self.stage.endpoint(case.name, case.model)
        endpoint.settled()
        room = endpoint.room()
        job = jobs.of_case(endpoint, case)
        self._measure(case.name, OURS, endpoint, job, case.seconds, room=room)
        for pods in case.fixed:  # at once: what the machine gives drifts by a fifth within minutes
            self._fixed(case, endpoint, pods, room)
        if case.fewer or case.forms:
            endpoint.freed()
        for connections in case.fewer:
            each = jobs.of_case(endpoint, case, seconds=plan.FORM_SECONDS, connections=connections)
            name = f"{case.name}, {connections} connections"
            self._measure(name, OURS, endpoint, each, plan.FORM_SECONDS, room=room)
        if case.forms:
            for name, form in jobs.forms(endpoint).items():
                loop = {"seconds": plan.FORM_SECONDS, "connections": case.connections}
                each = {**jobs.through_pop(endpoint, form), **loop}
                self._measure(f"form: {name}", OURS, endpoint, each, plan.FORM_SECONDS)

    def _fixed(self, case: Case, endpoint: Endpoint, pods: int, room: int) -> None:
        if pods > room:
            return
        endpoint.fixed(pods, plan.FIXED_LIMIT)
        job = jobs.of_case(endpoint, case, seconds=plan.FIXED_SECONDS)
        system = f"{FIXED}, {pods} pod{'s' if pods > 1 else ''}"
        self._measure(case.name, system, endpoint, job, plan.FIXED_SECONDS, pods=pods, room=room)

    def _peers(self, cases: Sequence[Case]) -> None:
        image = self.stage.image()
        self.stage.empty()
        kubeconfig = Path(self.stage.description["kubeconfig"])
        kubectl = self.stage.programs / "kubectl"
        command = [str(kubectl), "--kubeconfig", str(kubeconfig)]
        with (
            tempfile.TemporaryDirectory() as folder,
            metrics_server.running(self.stage.server, kubeconfig, kubectl, Path(folder)),
            Arena(self.stage.server, command, image, Path(folder)) as arena,
        ):
            Path(folder).chmod(0o755)
            for case in cases:
                wanted = [Peer(system=each, model=case.model, server=self.stage.server) for each in case.peers]
                running = arena.up(wanted)
                for peer in wanted:
                    try:
                        if peer not in running:
                            raise TemporaryError(f"{peer.name} does not answer")
                        self._peer(case, peer)
                    except _FAULTS as error:
                        self.failures.append(f"{case.name}, {peer.system}: {error}")
                        self._say(self.failures[-1])
                arena.down(wanted)

    def _peer(self, case: Case, peer: Peer) -> None:
        loop = {"seconds": plan.PEER_SECONDS, "connections": case.connections}
        self._measure(case.name, peer.system, peer, {**jobs.to_peer(peer), **loop}, plan.PEER_SECONDS)
        if peer.system == "mlflow" and case.forms:
            seconds = plan.PEER_SECONDS / 2
            each = {**jobs.to_peer(peer, jobs.table_form(PEERED)), **loop, "seconds": seconds}
            self._measure(f"form: {PEERED}", peer.system, peer, each, seconds)

    def _measure(
        self, case: str, system: str, on: Watched, job: dict[str, Any], seconds: float, *, pods: int = 0, room: int = 0
    ) -> None:
        stem = f"{case} {system}".replace(":", "").replace(",", "").replace(" ", "-")
        with Watch(self.stage.server, on) as seen:
            result = jobs.load({**job, "ledger": str(self.folder / f"{stem}.csv")})
        outcome = Outcome(
            case=case,
            system=system,
            seconds=seconds,
            load={**result, "rates": job.get("rates", [])},
            looks=watch.plain(seen.looks, result["started_at"]),
            cpu=seen.cpu,
            room=room,
            pods=pods,
            starts=seen.starts,
            decisions=seen.decisions,
        )
        self.outcomes.append(outcome)
        (self.folder / f"{stem}.json").write_text(json.dumps(outcome.track()))
        self._say(
            f"  {case}, {system}: {outcome.rate:.0f}/s, p50 {result['p50_ms']:.1f}, p99 {result['p99_ms']:.0f} ms,"
            f" {result['failures']} failed; pods ordered {outcome.most('ordered')}, ready {outcome.most('ready')};"
            f" {1e3 * outcome.path_cpu_ms:.0f} µs a request, client {result['client_cores']:.2f} cores"
        )

    def seconds(self) -> float:
        """Since the run began."""
        return time.monotonic() - self._begun

    def judged(self, *, whole_seconds: float | None = None) -> Any:
        """The bars so far."""
        return bars.bars(self.outcomes, run_seconds=whole_seconds, most_seconds=plan.BUDGET_SECONDS)

    def _say(self, text: str) -> None:
        print(f"bench-product {self.seconds() / 60:5.1f} min  {text}", flush=True)
