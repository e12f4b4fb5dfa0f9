"""One failure in the words of every protocol."""

import json

import pytest

from headrace.contract.errors import InputError
from headrace.runtimes.protocols import errors
from headrace.runtimes.protocols.errors import Dialect, Failure, Reason, worded


def document(failure: Failure, dialect: Dialect) -> dict[str, object]:
    found: dict[str, object] = json.loads(worded(failure, dialect).body)
    return found


def test_a_failure_is_worded_as_each_protocol_has_it() -> None:
    failure = Failure(Reason.NOT_FOUND, "There is no model of this name here.")

    assert document(failure, Dialect.MLFLOW) == {
        "error_code": "RESOURCE_DOES_NOT_EXIST",
        "message": "There is no model of this name here.",
    }
    assert document(failure, Dialect.OPEN_INFERENCE) == {"error": "There is no model of this name here."}
    assert document(failure, Dialect.OPENAI)["error"] == {
        "message": "There is no model of this name here.",
        "type": "not_found_error",
        "param": None,
        "code": "model_not_found",
    }
    assert {worded(failure, dialect).status for dialect in Dialect if dialect is not Dialect.GRPC} == {404}


def test_mlflow_gets_its_classes_with_the_codes_that_have_them() -> None:
    assert document(Failure(Reason.BAD_REQUEST, "No."), Dialect.MLFLOW)["sqlstate"] == "KAM00"
    assert document(Failure(Reason.INTERNAL, "No."), Dialect.MLFLOW)["error_class"] == "CLIENT_INTERNAL_ERROR"
    assert "sqlstate" not in document(Failure(Reason.OVERLOADED, "No."), Dialect.MLFLOW)


@pytest.mark.parametrize("dialect", list(Dialect))
def test_who_is_told_to_come_back_is_told_that_nothing_was_done(dialect: Dialect) -> None:
    headers = dict(worded(Failure(Reason.OVERLOADED, "Later.", retry_after_seconds=7), dialect).headers)

    assert (headers[b"retry-after"], headers[b"x-headrace-unprocessed"]) == (b"7", b"1")


def test_what_a_worker_says_keeps_its_status_code_and_classes() -> None:
    told = {"error_code": "INVALID_PARAMETER_VALUE", "message": "No.", "sqlstate": "S", "error_class": "C"}
    failure = errors.of_worker(422, json.dumps(told).encode())

    assert worded(failure, Dialect.MLFLOW).status == 422
    assert document(failure, Dialect.MLFLOW) == told


@pytest.mark.parametrize(
    ("status", "reason"), [(418, Reason.BAD_REQUEST), (599, Reason.INTERNAL), (503, Reason.UNAVAILABLE)]
)
def test_a_status_that_no_reason_has_is_the_callers_or_ours(status: int, reason: Reason) -> None:
    failure = errors.of_status(status, "No.")

    assert (failure.reason, failure.http_status) == (reason, status)


def test_all_faults_of_an_input_are_told() -> None:
    assert errors.of_input(InputError("request", ["a is wrong", "b is missing"])).message == "a is wrong; b is missing"


@pytest.mark.parametrize(
    ("path", "dialect"),
    [
        ("/invocations", Dialect.MLFLOW),
        ("/v2/models/m/infer", Dialect.OPEN_INFERENCE),
        ("/v1/completions", Dialect.OPENAI),
        ("/inference.GRPCInferenceService/ModelInfer", Dialect.GRPC),
        ("/v1", Dialect.MLFLOW),
    ],
)
def test_a_path_tells_whose_words_its_callers_read(path: str, dialect: Dialect) -> None:
    assert Dialect.of_path(path) is dialect


def test_a_wrong_method_names_the_right_ones() -> None:
    failure = errors.wrong_method("GET, PUT")

    assert failure.message == "This path answers GET and PUT only."
    assert dict(worded(failure, Dialect.MLFLOW).headers)[b"allow"] == b"GET, PUT"


@pytest.mark.parametrize("dialect", Dialect)
def test_a_sentence_that_is_no_unicode_is_told_in_every_dialect(dialect: Dialect) -> None:
    answer = errors.worded(Failure(Reason.BAD_REQUEST, "no \ud800 text"), dialect)

    assert rb"no \ud800 text" in (dict(answer.headers)[b"grpc-message"] if dialect is Dialect.GRPC else answer.body)
