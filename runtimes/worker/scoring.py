"""Answers one request exactly as the scoring server of the model's own MLflow would, without its web framework.

The steps are those of `mlflow.pyfunc.scoring_server.invocations` and call MLflow's own functions, so that parsing,
schema enforcement and the shape of the answer are MLflow's whatever its version. Differences, each wanted
(docs/runtimes.md lists them): no payload or stack trace in an answer, and never NaN or Infinity in JSON.
"""

from __future__ import annotations

import importlib
import inspect
import json
from collections.abc import Iterator
from io import BytesIO, StringIO
from typing import Any, NamedTuple

from . import faults, parsing
from .diagnostics import log
from .parsing import Parsed

JSON = "application/json"
CSV = "text/csv"
PARQUET = "application/vnd.apache.parquet"


class Answer(NamedTuple):
    """One answer: a JSON document with 200, or a fault (see `faults.Fault.to_bytes`) with its status."""

    status: int
    body: bytes


class Request(NamedTuple):
    """One request as the front sent it; JSON has been found valid there."""

    content_type: str
    body: bytes


class Scorer:
    """One loaded model and the functions of its MLflow."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.input_schema = model.metadata.get_input_schema()
        self._server = importlib.import_module("mlflow.pyfunc.scoring_server")
        self._encoder = importlib.import_module("mlflow.utils.proto_json_utils")
        self._strict = self._encoder.NumpyEncoder(allow_nan=False).encode
        self._takes_params = "params" in inspect.signature(model.predict).parameters

    def parse(self, content_type: str, body: bytes) -> Parsed:
        """The request in the form that MLflow hands to `model.predict`. Raises what MLflow raises."""
        if content_type == CSV:
            try:
                text = body.decode()
            except UnicodeDecodeError:
                raise self._invalid("Ensure that input is a valid UTF-8 encoded string.") from None
            return Parsed(self._server.parse_csv_input(csv_input=StringIO(text), schema=self.input_schema), None, False)
        if content_type == PARQUET:
            return Parsed(self._server.parse_parquet_input(parquet_input=BytesIO(body)), None, False)
        return parsing.parse_json(self._server, body.decode(), self.model.metadata, self.input_schema)

    def predict(self, parsed: Parsed) -> Any:
        """The model's own result for one parsed request."""
        if self._takes_params:
            return self.model.predict(parsed.data, params=parsed.params)
        return self.model.predict(parsed.data)

    def jsonable(self, predictions: Any) -> Any:
        """Arrays and DataFrames as lists and dictionaries, as MLflow does it."""
        return self._encoder._get_jsonable_obj(predictions, pandas_orient="records")

    def dump(self, document: Any) -> bytes:
        """JSON as MLflow writes it; a value that JSON cannot carry (NaN, Infinity) becomes null."""
        try:
            text: str = self._strict(document)
            return text.encode()
        except ValueError:
            text = json.dumps(document, cls=self._encoder.NumpyEncoder)
            return json.dumps(json.loads(text, parse_constant=lambda _: None)).encode()

    def render(self, predictions: Any, *, unwrapped: bool) -> bytes:
        """The whole answer for a model's result."""
        result = self.jsonable(predictions)
        return self.dump(result if unwrapped else {"predictions": result})

    def score(self, content_type: str, body: bytes) -> Answer:
        """Answers one request; never raises."""
        parsed = None
        try:
            parsed = self.parse(content_type, body)
            predictions = self.predict(parsed)
        except BaseException as error:  # a model that calls sys.exit must not take the thread with it
            fault = self.fault(error, body, parsing=parsed is None)
            return Answer(fault.status, fault.to_bytes())
        try:
            return Answer(200, self.render(predictions, unwrapped=parsed.unwrapped))
        except Exception as error:
            return self.unwritable(predictions, error)

    def unwritable(self, predictions: Any, error: Exception) -> Answer:
        """What to answer to a request whose result JSON cannot carry."""
        log.error("the model's result cannot be written as JSON", error)
        fault = faults.Fault(
            500,
            "INTERNAL_ERROR",
            f"The model returned a {type(predictions).__name__}, which cannot be written as JSON;"
            " return an array, a DataFrame, or plain lists and dictionaries.",
        )
        return Answer(fault.status, fault.to_bytes())

    def fault(self, error: BaseException, body: bytes, *, parsing: bool = False) -> faults.Fault:
        """What to answer to a request for which MLflow or, unless it was `parsing`, the model raised `error`."""
        schema = self.input_schema
        names = schema.input_names() if schema is not None and schema.has_input_names() else ()
        return faults.from_exception(error, body, names, parsing=parsing)

    def stream(self, content_type: str, body: bytes) -> Iterator[bytes]:
        """The pieces of a streamed answer as JSON documents. Raises what MLflow or the model raises."""
        parsed = self.parse(content_type, body)
        for piece in self.model.predict_stream(parsed.data, params=parsed.params):
            yield self.dump(self.jsonable(piece))

    def _invalid(self, message: str) -> Exception:
        made = getattr(self._encoder, "MlflowInvalidInputException", ValueError)  # not in MLflow 2.9
        error: Exception = made(message)
        return error
