"""A small API server on loopback, and patience."""

from collections.abc import Callable, Iterator

import pytest
from api_server import ApiServer
from patience import eventually


@pytest.fixture
def until() -> Callable[..., None]:
    return eventually


@pytest.fixture
def api() -> Iterator[ApiServer]:
    server = ApiServer()
    yield server
    server.stop()
