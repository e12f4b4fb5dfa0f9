"""A stand-in for a Databricks workspace: one model of the Unity Catalog, its files over the Files API, one run."""

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from tracking_stand_in import FILES

NAME = "main.risk.fraud"
_FOLDER = "/Models/main/risk/fraud/3"


class DatabricksStandIn:
    """Version 3 of `main.risk.fraud`, which `champion` names."""

    def __init__(self) -> None:
        self.uri = ""
        self.headers: list[Mapping[str, str]] = []
        self.failures: list[int] = []

    def answer(self, path: str, query: Mapping[str, Any]) -> tuple[int, bytes]:
        """Status and body."""
        if path.startswith("/api/2.0/fs/"):
            return self._file(unquote(path.removeprefix("/api/2.0/fs/")))
        if path.startswith("/.well-known/"):
            return 200, b"{}"
        verb = path.removeprefix("/api/2.0/mlflow/unity-catalog/")
        if verb.endswith("is-databricks-sdk-models-artifact-repository-enabled"):
            return 200, b'{"is_databricks_sdk_models_artifact_repository_enabled": true}'
        if verb == "registered-models/get" and query["name"] == NAME:
            return 200, json.dumps({"registered_model": {"name": NAME}}).encode()
        if verb == "model-versions/search":
            return 200, json.dumps({"model_versions": [{"name": NAME, "version": "3"}]}).encode()
        named = query.get("version") == "3" or query.get("alias") == "champion"
        if verb in {"model-versions/get", "registered-models/alias"} and query["name"] == NAME and named:
            version = {"name": NAME, "version": "3", "status": "MODEL_VERSION_READY"}
            return 200, json.dumps({"model_version": version}).encode()
        if verb == "model-versions/emit-lineage":
            return 200, b"{}"
        return 404, b'{"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "It does not exist."}'

    def _file(self, path: str) -> tuple[int, bytes]:
        kind, _, place = path.partition("/")
        name = f"/{place}".removeprefix(_FOLDER).strip("/")
        if kind == "files":
            return 200, FILES[name]
        below = [file for file in FILES if name == "" or file.startswith(f"{name}/")]
        if not below:
            return 404, b'{"error_code": "NOT_FOUND", "message": "It is no directory."}'
        contents: dict[str, dict[str, Any]] = {}
        for file in below:
            first, *more = file.removeprefix(f"{name}/" if name else "").split("/")
            entry = {"path": "/".join(filter(None, (_FOLDER, name, first))), "is_directory": bool(more)}
            contents[first] = entry if more else {**entry, "file_size": len(FILES[file])}
        return 200, json.dumps({"contents": list(contents.values())}).encode()
