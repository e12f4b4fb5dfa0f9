"""Loads the model and reads what the front must know about it."""

import importlib
import json
import os
import sys
from typing import Any

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


def warm_up_body(model_directory: str, metadata: Any) -> "bytes | None":
    """The JSON request made of the model's own input example; None when it was logged without one."""
    info = getattr(metadata, "saved_input_example_info", None)
    if not info:
        return None
    serving = info.get("serving_input_path")
    if serving:
        with open(os.path.join(model_directory, serving), "rb") as file:
            return file.read()
    with open(os.path.join(model_directory, info["artifact_path"]), encoding="utf-8") as file:
        example = json.load(file)
    if info.get("type") == "dataframe":
        return json.dumps({f"dataframe_{info.get('pandas_orient', 'split')}": example}).encode()
    if isinstance(example, dict) and ("inputs" in example or "instances" in example):
        return json.dumps(example).encode()
    return json.dumps({"inputs": example}).encode()


def description(model: Any, *, load_seconds: float, warm_up_seconds: float) -> "dict[str, Any]":
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
        "signature": signature.to_dict() if signature is not None else None,
        "hinted": hinted(metadata),
        "warmed_up": warm_up_seconds > 0,
        "load_seconds": round(load_seconds, 3),
        "warm_up_seconds": round(warm_up_seconds, 3),
    }
