"""Small parts, and stores to read them from."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack

import pytest
import weights_store
from weights_store import PART, Files

from headrace.contract import weights


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A quarter of a megabyte has four parts."""
    monkeypatch.setattr(weights, "PART_BYTES", PART)
    monkeypatch.setattr("headrace.runtimes.weights.copying.PART_BYTES", PART)


@pytest.fixture
def serving() -> Iterator[Callable[[Mapping[str, bytes]], Files]]:
    """Starts a store with these files."""
    with ExitStack() as running:
        yield lambda content: running.enter_context(weights_store.serving(content))
