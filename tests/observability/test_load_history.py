"""LoadHistory: what Prometheus remembers, as lines with gaps where nothing was measured."""

import json
from urllib.parse import parse_qs, urlsplit

import pytest

from headrace.contract.errors import TemporaryError
from headrace.observability.console.load_history import PLOTS, SECONDS, STEP_SECONDS, History, Prometheus, lines_of
from tests.observability.http_stand_in import Asked, stand_in

NOW = 1_796_000_403.7


def test_lines_have_gaps_where_nothing_was_measured() -> None:
    result = [
        {"metric": {"version": "v1"}, "values": [[10, "1"], [20, "NaN"], [30, "2.5"]]},
        {"metric": {}, "values": [[20, "+Inf"]]},
    ]

    found = lines_of(result, [10, 15, 20, 25, 30])

    assert found == {"v1": [1.0, None, None, None, 2.5], "": [None] * 5}
    history = History(times=[10, 15, 20, 25, 30], lines={"rate": found})
    assert history.mean("rate", "v1") == 1.75
    assert history.mean("rate", "v2") is None
    assert history.mean("latency", "v1") is None
    assert json.loads(json.dumps(history.document([]), allow_nan=False))["times"] == [10, 15, 20, 25, 30]


def test_each_plot_is_one_question_about_one_endpoint() -> None:
    def answer(asked: Asked) -> tuple[int, bytes, dict[str, str]]:
        start = int(parse_qs(urlsplit(asked[1]).query)["start"][0])
        matrix = [{"metric": {"version": "v1"}, "values": [[start, "3"]]}]
        return 200, json.dumps({"data": {"result": matrix}}).encode(), {}

    with stand_in(answer) as (port, asked):
        history = Prometheus(f"http://127.0.0.1:{port}/").history("fraud", NOW)

    queries = [parse_qs(urlsplit(target).query) for _, target, _, _ in asked]
    assert len(queries) == len(PLOTS)
    assert all('endpoint="fraud"' in query["query"][0] and "%s" not in query["query"][0] for query in queries)
    assert {(query["start"][0], query["end"][0]) for query in queries} == {("1795999800", "1796000400")}
    assert len(history.times) == SECONDS // STEP_SECONDS + 1
    assert history.lines["pods"]["v1"][:2] == [3.0, None]
    [errors] = [query["query"][0] for query in queries if 'code=~"5..|429"' in query["query"][0]]
    assert "headrace_answers_total" in errors


@pytest.mark.parametrize(("status", "body"), [(503, b"{}"), (200, b"<html>"), (200, b"{}"), (400, b"bad query")])
def test_a_prometheus_that_does_not_answer_is_said(status: int, body: bytes) -> None:
    with stand_in(lambda _: (status, body, {})) as (port, _), pytest.raises(TemporaryError, match="Prometheus at"):
        Prometheus(f"http://127.0.0.1:{port}").history("fraud", NOW)
    with pytest.raises(TemporaryError, match="cannot be read"):
        Prometheus(f"http://127.0.0.1:{port}").history("fraud", NOW)
