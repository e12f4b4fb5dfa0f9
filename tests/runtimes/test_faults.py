"""Messages of MLflow lose what they repeat of the request."""

import pytest

from headrace.runtimes.worker import faults


@pytest.mark.parametrize(
    ("message", "kept"),
    [
        (
            "Failed to predict data '  a\n0 4111'. \nError: Failed to enforce schema. Model is missing inputs ['b'].",
            "Failed to enforce schema. Model is missing inputs ['b'].",
        ),
        (
            "Invalid input. Ensure that input is a valid JSON formatted string. Error: 'JSONDecodeError(x)'\n"
            "Input: \nb'4111'\n",
            "Invalid input. Ensure that input is a valid JSON formatted string.",
        ),
        (
            "Invalid input. Data is not compatible with model signature. Failed to convert column a to type 'float64'."
            " Error: 'ValueError(\"could not convert string to float: '4111'\")'",
            "Invalid input. Data is not compatible with model signature. Failed to convert column a to type 'float64'.",
        ),
    ],
)
def test_the_rule_stays_and_the_payload_goes(message: str, kept: str) -> None:
    assert faults.without_echo(message) == kept


def test_a_models_own_exception_is_a_fixed_sentence() -> None:
    fault = faults.from_exception(KeyError("4111"))

    assert fault.status == 400
    assert "4111" not in fault.to_bytes().decode()
    assert "Traceback" not in fault.to_bytes().decode()


def test_long_messages_are_cut() -> None:
    assert len(faults.without_echo("x" * 100_000)) < 2100
