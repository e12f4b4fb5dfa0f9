"""What callers are told of an exception: the rule that was broken, and nothing of what they sent."""

from typing import Any

import pytest

from headrace.runtimes.worker import faults, message_redaction

SCHEMA = "['a': double (required)]"


@pytest.mark.parametrize(
    ("message", "kept"),
    [
        (
            "Failed to predict data '  a\n0 4111'. \nError: Failed to enforce schema of data '  a\n0 4111' with schema "
            f"'{SCHEMA}'. Error: Model is missing inputs ['b']. Note that there were extra inputs: ['4111'].",
            "Model is missing inputs ['b'].",
        ),
        (
            "Failed to predict data 'Model is missing inputs [4111].'. \nError: Failed to enforce schema of data "
            f"''. Error: 4111' with schema '{SCHEMA}'. Error: Shape of input (1, 3) does not match expected shape "
            "(-1, 4).",
            "Shape of input (1, 3) does not match expected shape (-1, 4).",
        ),
        (
            "Invalid input. Ensure that input is a valid JSON formatted string. Error: 'JSONDecodeError(x)'\n"
            "Input: \nb'4111'\n",
            "Invalid input. Ensure that input is a valid JSON formatted string.",
        ),
        (
            "Invalid input. Data is not compatible with model signature. Failed to convert column a to type 'float64'."
            " Error: 'ValueError(\"could not convert string to float: '4111' to type '4111'.\")'",
            "Invalid input. Data is not compatible with model signature. Failed to convert column a to type 'float64'.",
        ),
        (
            "Invalid input. Failed to convert data `4111` to type `long` defined in the model signature.",
            message_redaction.UNTOLD,
        ),
        ("Failed to enforce schema of data `4111` with dtype `long`", message_redaction.UNTOLD),
        ('Invalid parameters found: [("temperature", "Failed to convert value `4111`")]', "Invalid parameters found"),
        ("Missing required properties: {'b'}",) * 2,
        ("Invalid properties not defined in the schema found: {'4111'}", message_redaction.UNTOLD),
        ("Invalid input. Dataframe split format must be a dictionary. Got list.",) * 2,
        (
            "Invalid input. Provided dataframe_split field is not a valid dataframe representation in 'split' format."
            " Error: '2 columns passed, passed data had 1 columns'",
        )
        * 2,
        (
            "Invalid input. Provided dataframe_split field is not a valid dataframe representation in 'split' format."
            " Error: 'Shape of passed values is 4111'",
            "Invalid input. Provided dataframe_split field is not a valid dataframe representation in 'split' format.",
        ),
        ("A sentence of another MLflow with 4111 in it.", message_redaction.UNTOLD),
    ],
)  # fmt: skip
def test_the_rule_stays_and_the_payload_goes(message: str, kept: str) -> None:
    assert message_redaction.of_mlflow(message, ["a", "b"]) == kept


@pytest.mark.parametrize(
    "message",
    [
        "Invalid input. Data is not compatible with model signature. Failed to convert column 4111 to type 'int64'.",
        "Incompatible input types for column 4111. Can not safely convert float64 to int64.",
        "Failed to convert column 4111 from type object to DataType.long.",
        "The input column '4111' is required by the model signature but missing from the input data.",
        "The value in the Input DataFrame column '4111' could not be converted to the expected shape of: '(-1, 2)'.",
    ],
)
def test_a_column_is_named_when_its_name_is_the_signatures(message: str) -> None:
    assert message_redaction.of_mlflow(message, ["a"]) == message_redaction.UNTOLD
    assert message_redaction.of_mlflow(message, ["4111"]) == message


def test_a_models_own_exception_is_a_fixed_sentence() -> None:
    fault = faults.from_exception(KeyError("4111"))

    assert fault.status == 400
    assert "4111" not in fault.to_bytes().decode()
    assert "Traceback" not in fault.to_bytes().decode()


BODY = '{"dataframe_split": {"columns": ["amount"], "data": [[-17.5], ["müller"]]}}'


@pytest.mark.parametrize(
    ("message", "told"),
    [
        ("The amount must be positive.", True),
        ("The amount must be positive, was -17.5.", False),
        ("Nobody is called müller.", False),
    ],
)
@pytest.mark.parametrize(
    "body", [BODY.encode(), BODY.replace("ü", "\\u00fc").encode(), "amount\n-17.5\nmüller\n".encode()]
)
def test_an_author_may_say_what_is_wrong_and_not_what_was_sent(message: str, told: bool, body: bytes) -> None:
    assert message_redaction.of_author(message, body, ["amount"]) == (message if told else None)


def test_of_requests_too_long_to_search_nothing_is_told() -> None:
    assert message_redaction.of_author("Wrong.", b"[" + b" " * message_redaction.LONGEST_SEARCHED + b"]", ()) is None


class Refusal(Exception):
    """What MLflow's own exception offers."""

    def serialize_as_json(self) -> str:
        return '{"error_code": "INVALID_PARAMETER_VALUE", "message": "The amount must be positive."}'

    def get_http_status_code(self) -> int:
        return 400


def raised(error: Exception, **globals_: Any) -> Exception:
    """The exception, raised by code in the module that is named."""
    try:
        exec("raise error", {"error": error, **globals_})
    except Refusal as caught:
        return caught
    raise AssertionError


def test_words_are_an_authors_when_no_code_of_mlflow_raised_them() -> None:
    by_author = faults.from_exception(raised(Refusal(), __name__="code_model_1"), b"[]")
    by_mlflow = faults.from_exception(raised(Refusal(), __name__="mlflow.models.utils"), b"[]")

    assert by_author.message == "The amount must be positive."
    assert by_mlflow.message == message_redaction.UNTOLD
    assert by_author.status == by_mlflow.status == 400


def test_long_messages_are_cut() -> None:
    assert len(message_redaction.of_mlflow("Model is missing inputs [" + "'x', " * 100_000 + "].")) < 2100
    assert len(message_redaction.of_author("x" * 100_000, b"[]", ()) or "") in range(2000, 2100)
