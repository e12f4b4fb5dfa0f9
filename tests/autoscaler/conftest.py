"""A version on a fake clock, for every story of this folder."""

import sys
from pathlib import Path

import pytest

# Under importlib mode no folder of tests is on the path.
sys.path.insert(0, str(Path(__file__).parent))

from scaling_story import Story


@pytest.fixture
def story() -> Story:
    """A version with one ready pod of four slots, 50 ms a request: 80 requests a second a pod."""
    return Story()
