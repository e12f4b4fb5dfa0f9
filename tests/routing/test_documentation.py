"""docs/routing.md says what the code does."""

import re
from pathlib import Path

from headrace.routing.snapshot import Options
from headrace.routing.snapshot.local_replies import replies

TEXT = (Path(__file__).parents[2] / "docs" / "routing.md").read_text()
PROSE = " ".join(TEXT.split())
"""As it reads, wherever its lines end."""


def test_every_refusal_is_in_the_table() -> None:
    for refusal in replies(Options()):
        status = refusal.status if refusal.answered_as is None else refusal.answered_as
        row = rf"\| {status} \| `{refusal.error_code}` \| `{refusal.openai_type}` \|"
        if refusal.retry_seconds is not None:
            row += rf".*\| {refusal.retry_seconds} \|"
        assert re.search(row, TEXT), refusal


def test_limits_are_those_of_the_options() -> None:
    options = Options()
    assert f"≤ {options.body_bytes // 2**20} MiB" in PROSE
    assert f"over {options.request_headers_kib} KiB, or over {options.headers_count} headers" in PROSE
    assert f"within {options.request_timeout_seconds:.0f} s" in PROSE
    assert f"{options.clock_skew_seconds} seconds of clock difference" in PROSE
    assert f"at most {options.retry_budget_percent:.0f} % of the active requests" in PROSE
    assert options.token_lifetime_seconds == 86_400
    assert "not more than a day after `iat`" in PROSE
