"""Fronts: sets the admission limit of pods through their admin ports, in the background."""

import logging
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

import urllib3

from headrace.autoscaler.fleet import bracketed
from headrace.contract import metrics, names

log = logging.getLogger(__name__)

TIMEOUT_SECONDS = 1.0


class Fronts(Protocol):
    def set_limit(self, address: str, limit: int) -> None:
        """Asks the pod at the address to admit that many requests; a failure is seen in the next scrape."""


class HttpFronts:
    """The pods' admin ports. A pod that does not answer is asked again when the next scrape shows its old limit."""

    def __init__(self, *, port: int = names.FRONT_ADMIN_PORT) -> None:
        self._port = port
        self._http = urllib3.PoolManager(num_pools=256, maxsize=1, retries=False)
        self._threads = ThreadPoolExecutor(max_workers=16, thread_name_prefix="limit")

    def set_limit(self, address: str, limit: int) -> None:
        self._threads.submit(self._put, address, limit)

    def close(self) -> None:
        """Waits until every pod has been asked."""
        self._threads.shutdown()

    def _put(self, address: str, limit: int) -> None:
        url = f"http://{bracketed(address)}:{self._port}{metrics.CONCURRENCY_PATH}"
        try:
            response = self._http.request("PUT", url, json={metrics.CONCURRENCY_FIELD: limit}, timeout=TIMEOUT_SECONDS)
        except urllib3.exceptions.HTTPError as error:
            log.warning("limit of pod %s not set: %s", address, error)
            return
        if response.status != 200:
            log.warning("pod %s refused the limit %d with status %d", address, limit, response.status)
