"""Loads the model and reads what the front must know about it."""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any

from . import example
from .diagnostics import log
from .equivalence_check import ROW_WISE_LOADERS

_IN_SERVING_ENVIRONMENT = "_MLFLOW_IS_IN_SERVING_ENVIRONMENT"


def server() -> Any:
    """MLflow's scoring server, and with it all of MLflow that serving needs: imported by the first call."""
    return importlib.import_module("mlflow.pyfunc.scoring_server")


def load(model_directory: str) -> Any:
    """The model as `mlflow.pyfunc` loads it, with SERVING_MODEL_CONFIG honoured as MLflow's server honours it."""
    loader = getattr(server(), "load_model_with_mlflow_config", None)
    if loader is None:
        loader = importlib.import_module("mlflow.pyfunc").load_model
    model = loader(model_directory)
    os.environ[_IN_SERVING_ENVIRONMENT] = "true"
    return model


def loader_of(model: Any) -> str:
    """The module that MLflow loaded the model with, for example mlflow.sklearn; PyFuncModel says so since 2.11."""
    flavors = getattr(model.metadata, "flavors", None) or {}
    return str(flavors.get("python_function", {}).get("loader_module", ""))


def hinted(metadata: Any) -> bool:
    """Whether the signature comes from type hints: MLflow takes the items of `inputs` as they are, and no table."""
    said = getattr(metadata, "_is_signature_from_type_hint", None)  # since MLflow 2.20
    return said is not None and bool(said())


def raw_model(model: Any) -> Any:
    """The library's own model behind MLflow's; what is nearest to it where MLflow does not tell."""
    made: Any = getattr(model, "_model_impl", None)
    if hasattr(made, "get_raw_model"):
        return made.get_raw_model()
    return getattr(made, "sklearn_model", made)  # MLflow 1 has no wrapper, MLflow 2.9 one without this method


def warm_up_body(model_directory: str, metadata: Any) -> bytes | None:
    """The JSON request made of the model's own input example; None without one.

    An example that makes no request says nothing about the model: the log says why, and the model is served untried.
    """
    info = getattr(metadata, "saved_input_example_info", None)
    if not info:
        return None
    try:
        return example.request(model_directory, info)
    except Exception as error:
        log.warning(f"the model is served without a try: its input example makes no request ({_told(error)})")
        return None


def _told(error: Exception) -> str:
    return f"there is no {error}" if isinstance(error, KeyError) else f"{type(error).__name__}: {error}"


def _ignores_empty_params(model: Any) -> bool:
    """Whether `"params": {}` is to the model what no params are.

    MLflow's own flavors look at params that are there; and where the signature has params, it fills in all of them.
    """
    known = getattr(model.metadata, "get_params_schema", lambda: None)()
    return known is not None or loader_of(model) in ROW_WISE_LOADERS


def description(model: Any, *, load_seconds: float, warm_up_seconds: float) -> dict[str, Any]:
    """What the front shows at /version, in metrics and in v2 metadata."""
    metadata = model.metadata
    version = importlib.import_module("mlflow.version").VERSION
    signature = getattr(metadata, "signature", None)
    return {
        "mlflow_version": version,
        "python_version": ".".join(str(part) for part in sys.version_info[:3]),
        "loader": loader_of(model),
        "task": str((getattr(metadata, "metadata", None) or {}).get("task", "")),
        "streams": getattr(model, "_predict_stream_fn", None) is not None,
        "flavors": sorted(getattr(metadata, "flavors", {}) or {}),
        "empty_params_say_nothing": _ignores_empty_params(model),
        "signature": signature.to_dict() if signature is not None else None,
        "hinted": hinted(metadata),
        "warmed_up": warm_up_seconds > 0,
        "load_seconds": round(load_seconds, 3),
        "warm_up_seconds": round(warm_up_seconds, 3),
    }
