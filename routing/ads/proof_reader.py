"""ProofReader: asks one pod of each version, once, what it found out before it took requests.

It asks on the pods' admin port, in threads of its own: a pod that hangs delays neither a proxy nor another's status.
What comes is a stranger's word and is held to the declaration; the proof of another image is none.
"""

import contextlib
import http.client
import json
import socket
import threading
import time
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from headrace.contract import names
from headrace.contract.evidence import PROOF_PATH, Proof
from headrace.routing.ads.proofs import Version, proof_in

SECONDS: Final = 2.0
"""Longest wait for a pod to accept, and for its answer."""
LARGEST_BYTES: Final = 16 * 1024
AGAIN_SECONDS: Final = (1.0, 60.0)
"""Until a version is asked again of which no pod told a proof: at first, and at most; it doubles."""
_AT_A_TIME: Final = 4


def told_by(host: str, port: int) -> Any:
    """What a pod tells; None where it tells nothing."""
    with contextlib.closing(http.client.HTTPConnection(host, port, timeout=SECONDS)) as connection:
        connection.connect()
        over = threading.Timer(SECONDS, _hang_up, [connection.sock])  # on one that sends a byte a second
        over.start()
        try:
            connection.request("GET", PROOF_PATH, headers={"connection": "close"})
            answer = connection.getresponse()
            text = answer.read(LARGEST_BYTES + 1)
        finally:
            over.cancel()
        return json.loads(text) if answer.status == 200 and len(text) <= LARGEST_BYTES else None


def _hang_up(connected: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connected.shutdown(socket.SHUT_RDWR)


class ProofReader:
    """Proofs that pods have told, until the objects' statuses have them."""

    def __init__(
        self,
        found: Callable[[], None],
        *,
        ask: Callable[[str, int], Any] = told_by,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`found` is called, from another thread, when a pod has told its proof."""
        self._found, self._ask, self._clock = found, ask, clock
        self._pool = ThreadPoolExecutor(_AT_A_TIME, thread_name_prefix="proofs")
        self._lock = threading.Lock()
        self._proofs: dict[Version, Proof] = {}
        self._asking: set[Version] = set()
        self._again: dict[Version, tuple[float, float]] = {}
        """When a version may be asked again, and after how many seconds the time after that."""

    def proof(self, version: Version, hosts: Sequence[str]) -> Proof | None:
        """The proof of a version, if a pod has told it; else the ready pods at `hosts` are asked, now or later."""
        with self._lock:
            known = self._proofs.get(version)
            due = self._again.get(version, (0.0, 0.0))[0]
            if known is not None or not hosts or version in self._asking or self._clock() < due:
                return known
            self._asking.add(version)
        try:
            self._pool.submit(self._read, version, tuple(hosts))
        except RuntimeError:  # the process ends
            return None
        return None

    def keep(self, versions: Collection[Version]) -> None:
        """Forgets all versions but these, of which there is a proof still to be told or to be written."""
        with self._lock:
            self._proofs = {version: proof for version, proof in self._proofs.items() if version in versions}
            self._again = {version: due for version, due in self._again.items() if version in versions}

    def stop(self) -> None:
        """Asks no more."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _read(self, version: Version, hosts: Sequence[str]) -> None:
        proof = None
        for host in hosts[:_AT_A_TIME]:  # while a version's image changes, some pods have the former one
            with contextlib.suppress(OSError, http.client.HTTPException, ValueError, RecursionError):
                proof = proof_in(self._ask(host, names.FRONT_ADMIN_PORT), version)
            if proof is not None:
                break
        with self._lock:
            self._asking.discard(version)
            first, longest = AGAIN_SECONDS
            if proof is not None:
                self._proofs[version] = proof
                self._again.pop(version, None)
            else:
                delay = self._again.get(version, (0.0, first))[1]
                self._again[version] = self._clock() + delay, min(2 * delay, longest)
        if proof is not None:
            self._found()
