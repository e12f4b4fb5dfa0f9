"""docs/routing.md says what the code does."""

import re
from pathlib import Path

from headrace.routing import telemetry
from headrace.routing.snapshot import Options
from headrace.routing.snapshot.dialect import refusals

TEXT = (Path(__file__).parents[2] / "docs" / "routing.md").read_text()


def test_every_metric_is_named() -> None:
    for metric in telemetry.registry.collect():
        name = metric.name + ("_total" if metric.type == "counter" else "")
        assert f"`{name}" in TEXT, name


def test_every_refusal_is_in_the_table() -> None:
    for refusal in refusals(Options()):
        status = refusal.status if refusal.answered_as is None else refusal.answered_as
        row = rf"\| {status} \| `{refusal.error_code}` \| `{refusal.openai_type}` \|"
        if refusal.retry_seconds is not None:
            row += rf".*\| {refusal.retry_seconds} \|"
        assert re.search(row, TEXT), refusal


def test_limits_are_those_of_the_options() -> None:
    options = Options()
    assert f"≤ {options.body_bytes // 2**20} MiB" in TEXT
    assert f"over {options.request_headers_kib} KiB, or over {options.headers_count} headers" in TEXT
    assert f"within {options.request_timeout_seconds:.0f} s" in TEXT
    assert f"{options.clock_skew_seconds} seconds of clock difference" in TEXT
    assert f"at most {options.retry_budget_percent:.0f} % of the active requests" in TEXT
    assert options.token_lifetime_seconds == 86_400
    assert "not more than a day after `iat`" in TEXT
