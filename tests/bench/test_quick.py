"""Benches that no other test starts do start: each has `--quick`, which measures little and writes nothing."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "bench" / "results"

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("bench", "rows"),
    [
        ("path", ("headrace", "bare Envoys", "one bare Envoy", "the pod alone", "load-balancer: CPU")),
        ("rollout", ("a good version: goes through", "2 % of labels changed: taken back within 500 requests")),
        ("routing", ("configuration, from nothing", "a request over HTTP, median", "a request over gRPC, median")),
    ],
)
def test_a_quick_run_measures_everything_and_leaves_the_record_alone(bench: str, rows: tuple[str, ...]) -> None:
    recorded = {path: path.stat().st_mtime_ns for path in RESULTS.iterdir()}

    ran = subprocess.run(
        [sys.executable, "-m", f"bench.{bench}", "--quick"], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert ran.returncode == 0, ran.stderr
    assert [row for row in rows if row not in ran.stdout] == []
    assert {path: path.stat().st_mtime_ns for path in RESULTS.iterdir()} == recorded
