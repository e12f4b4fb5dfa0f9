"""docs/metrics.md names what the table writer, and a pod that records, expose."""

from pathlib import Path

from metrics_page import exposed, told
from prometheus_client import generate_latest

from headrace.contract import metrics
from headrace.contract.inference_table import Recording
from headrace.contract.log_receiver import LogReceiver
from headrace.observability.tables import writer_metrics
from headrace.runtimes.http.admin import Admin
from headrace.runtimes.http.answer_samples import AnswerSamples
from headrace.runtimes.sidecar.__main__ import exposition
from headrace.runtimes.sidecar.carrier import Carrier
from headrace.runtimes.sidecar.log_carrier import LogCarrier
from headrace.runtimes.sidecar.span_sender import SpanSender
from tests.runtimes.http import in_process

EVERYWHERE = frozenset({metrics.ENDPOINT_METRIC_LABEL, metrics.VERSION_METRIC_LABEL})


def test_the_table_writer_exposes_the_metrics_of_the_page_and_no_others() -> None:
    writer_metrics.rows.labels("fraud").inc()
    writer_metrics.commits.labels("fraud", "committed").inc()
    writer_metrics.refused.labels("401").inc()
    writer_metrics.drifted_columns.labels("fraud", "input").set(2)
    writer_metrics.drift_checked.labels("fraud").set(1.0)
    writer_metrics.telemetry_rows.labels("otel_spans").inc()
    found = exposed(generate_latest(writer_metrics.registry).decode())

    assert {name: kind for name, kind in found.items() if not name.endswith("_created")} == told("Table writer")


def test_a_pod_that_records_exposes_the_metrics_of_the_page_and_no_others(tmp_path: Path) -> None:
    front = in_process.make_front(tmp_path, recording=Recording(directory=str(tmp_path / "records")))
    of_front = Admin(front.served, front.usage, AnswerSamples(front), recorder=front.recorder).exposition()
    carrier = Carrier(tmp_path, None, pod_uid="pod")  # type: ignore[arg-type]  # nothing is sent
    of_sidecar = exposition({}, records=carrier)
    text = "\n".join(line for line in of_front.splitlines() if "_records_" in line)

    assert exposed(f"{text}\n{of_sidecar}", everywhere=EVERYWHERE) == told("Records")


def test_a_pod_with_spans_exposes_the_metrics_of_the_page_and_no_others(tmp_path: Path) -> None:
    front = in_process.make_front(tmp_path, span_spool=tmp_path / "spans")
    admin = Admin(front.served, front.usage, AnswerSamples(front), span_recorder=front.span_recorder)
    text = "\n".join(line for line in admin.exposition().splitlines() if "_span_" in line)
    sender = SpanSender("127.0.0.1:1", endpoint="", version="", place="")

    assert exposed(f"{text}\n{exposition({}, spans=sender)}", everywhere=EVERYWHERE) == told("Spans")


def test_a_sidecar_that_sends_lines_on_exposes_the_metrics_of_the_page_and_no_others(tmp_path: Path) -> None:
    text = exposition({}, lines=LogCarrier(tmp_path, LogReceiver("127.0.0.1:1")))

    assert exposed(text, everywhere=EVERYWHERE) == told("Logs")
