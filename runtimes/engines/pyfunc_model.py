"""Runs in Triton's Python backend and not in ours: serves one MLflow model as the python_function it is.

The backend starts Python isolated from PYTHONPATH and PYTHONHOME; the model's packages are made known here.
"""

import json
import os
import site
import sys
import traceback
from typing import Any

site.addsitedir(os.environ["HEADRACE_SITE"])

import mlflow.pyfunc
import numpy as np
import pandas as pd
import triton_python_backend_utils as pb_utils  # type: ignore[import-not-found]
from mlflow.exceptions import MlflowException

_DTYPES = {"boolean": "bool", "integer": "int32", "long": "int64", "float": "float32", "double": "float64"}


class TritonPythonModel:
    """What the backend looks for."""

    def initialize(self, args: dict[str, str]) -> None:
        """Loads the model."""
        config = json.loads(args["model_config"])
        self._outputs = [(one["name"], one["data_type"]) for one in config["output"]]
        self._inputs = [one["name"] for one in config["input"]]
        self._model = mlflow.pyfunc.load_model(config["parameters"]["model"]["string_value"])
        signature = self._model.metadata.signature
        self._schema = None if signature is None else signature.inputs

    def execute(self, requests: list[Any]) -> list[Any]:
        """Answers each request by itself: one that fails fails alone."""
        return [self._answer(request) for request in requests]

    def _answer(self, request: Any) -> Any:
        try:
            given = {name: pb_utils.get_input_tensor_by_name(request, name) for name in self._inputs}
            arrays = {name: tensor.as_numpy() for name, tensor in given.items() if tensor is not None}
            predictions = self._model.predict(self._model_input(arrays))
            return pb_utils.InferenceResponse(list(self._tensors(predictions)))
        except MlflowException as error:  # the input breaks the signature
            return _refusal(str(error.message))
        except Exception as error:
            traceback.print_exc(file=sys.stderr)
            return _refusal(f"The model failed on this input ({type(error).__name__}).")

    def _model_input(self, arrays: dict[str, Any]) -> Any:
        schema = self._schema
        if schema is None or schema.is_tensor_spec():
            named = schema is not None and schema.has_input_names()
            return arrays if named else next(iter(arrays.values()))
        columns = {}
        for at, column in enumerate(schema.inputs):
            values = arrays.get(self._inputs[at] if column.name is None else column.name)
            if values is not None:
                kind = str(getattr(column.type, "name", column.type))
                columns[at if column.name is None else column.name] = _column(kind, values.reshape(-1))
        return pd.DataFrame(columns)

    def _tensors(self, predictions: Any) -> Any:
        if isinstance(predictions, pd.DataFrame):
            found = {str(name): predictions[name].to_numpy() for name in predictions.columns}
        elif isinstance(predictions, dict):
            found = {str(name): np.asarray(value) for name, value in predictions.items()}
        else:
            found = {self._outputs[0][0]: np.asarray(predictions)}
        for name, kind in self._outputs:
            if name not in found:
                raise KeyError(name)
            yield _tensor(name, kind, found[name])


def _column(kind: str, values: Any) -> Any:
    if kind in _DTYPES:
        return values.astype(_DTYPES[kind])
    texts = [value.decode() if isinstance(value, bytes) else value for value in values]
    if kind == "string":
        return texts
    if kind == "datetime":
        return pd.to_datetime(texts)
    if kind == "binary":
        return list(values)
    return [json.loads(text) for text in texts]  # arrays, objects and maps


def _tensor(name: str, kind: str, values: Any) -> Any:
    if kind == "TYPE_STRING":
        texts = [value if isinstance(value, str) else json.dumps(_plain(value)) for value in values.reshape(-1)]
        return pb_utils.Tensor(name, np.array([text.encode() for text in texts], dtype=object).reshape(values.shape))
    return pb_utils.Tensor(name, np.ascontiguousarray(values.astype(pb_utils.triton_string_to_numpy(kind))))


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _refusal(message: str) -> Any:
    error = pb_utils.TritonError(message, pb_utils.TritonError.INVALID_ARG)
    return pb_utils.InferenceResponse(output_tensors=[], error=error)
