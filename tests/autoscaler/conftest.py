"""A version on a fake clock, for every story of this folder, and a journal of one."""

import sys
from pathlib import Path

import pytest

# Under importlib mode no folder of tests is on the path.
sys.path.insert(0, str(Path(__file__).parent))

from scaling_story import Story

from headrace.autoscaler.journal import Journal
from headrace.contract.apa import AutoscalerSpec


@pytest.fixture
def story() -> Story:
    """A version with one ready pod of four slots, 50 ms a request: 80 requests a second a pod."""
    return Story()


@pytest.fixture
def recorded(tmp_path: Path, story: Story) -> Path:
    """A journal of some minutes of a load that rises and falls; the story has seen them."""
    path = tmp_path / "journal.jsonl"
    writer = Journal(str(path))
    story.spec = AutoscalerSpec(target="v1", min_concurrency=4, max_concurrency=4)
    for second in range(200):
        before = story.memory
        story.run(1, 20 + 600 * (50 < second < 120))
        assert story.decision is not None
        writer.write(("endpoint-fraud", "v1"), story.spec, story.seen, before, story.decision)
    writer.close()
    return path
