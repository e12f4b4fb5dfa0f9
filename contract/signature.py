"""A model's signature in the terms of the Open Inference Protocol: names, datatypes and shapes."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

MLFLOW_DATATYPES: Final = {
    "boolean": "BOOL",
    "integer": "INT32",
    "long": "INT64",
    "float": "FP32",
    "double": "FP64",
    "string": "BYTES",
    "binary": "BYTES",
    "datetime": "BYTES",
}
"""Datatype of each MLflow column type."""
NUMPY_DATATYPES: Final = {
    "bool": "BOOL",
    **{f"{sign}int{bits}": f"{sign.upper()}INT{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)},
    **{f"float{bits}": f"FP{bits}" for bits in (16, 32, 64)},
}
"""Datatype of each numpy dtype; others (text, bytes, dates) travel as BYTES."""
UNNAMED: Final = "input"
"""Name of a signature's only column or tensor where it has none; further columns without a name are `input_1`, …"""


@dataclass(frozen=True, kw_only=True)
class Signature:
    columns: tuple[tuple[str, str], ...] = ()
    """Names (empty when unnamed) and MLflow types of column inputs: `double`, `double[]` for an array, `object`, …"""
    tensors: tuple[tuple[str, str, tuple[int, ...]], ...] = ()
    """Names (empty when unnamed), numpy dtypes and shapes of tensor inputs."""
    outputs: tuple[tuple[str, str, tuple[int, ...]], ...] = ()
    """Names, datatypes and shapes of outputs."""
    hinted: bool = False
    """Whether it comes from the model's type hints: such a model takes a list of items, and no table."""

    @classmethod
    def of(cls, signature: Mapping[str, Any] | None, *, hinted: bool = False) -> "Signature":
        """Reads `ModelSignature.to_dict()`."""
        columns, inputs, outputs = [], [], []
        for spec in _specs(signature, "inputs"):
            name, tensor = str(spec.get("name", "")), spec.get("tensor-spec")
            if tensor is not None:
                inputs.append((name, str(tensor["dtype"]), tuple(tensor["shape"])))
            else:
                columns.append((name, _kind(spec)))
        for spec in _specs(signature, "outputs"):
            name, tensor = str(spec.get("name", "predictions")), spec.get("tensor-spec")
            if tensor is not None:
                outputs.append((name, NUMPY_DATATYPES.get(str(tensor["dtype"]), "BYTES"), tuple(tensor["shape"])))
            elif (kind := str(spec.get("type"))) in MLFLOW_DATATYPES:
                outputs.append((name, MLFLOW_DATATYPES[kind], (-1,)))
        return cls(columns=tuple(columns), tensors=tuple(inputs), outputs=tuple(outputs), hinted=hinted)

    @property
    def names(self) -> list[str]:
        """Names of the columns in order, of those without one too."""
        return [name or (f"{UNNAMED}_{at}" if at else UNNAMED) for at, (name, _) in enumerate(self.columns)]

    def metadata(self, model: str, version: str) -> dict[str, Any]:
        """The body of GET /v2/models/{model}."""
        columns = [
            (name, MLFLOW_DATATYPES.get(kind.rstrip("[]"), "BYTES"), (-1,) * dimensions(kind))
            for name, (_, kind) in zip(self.names, self.columns, strict=True)
        ]
        tensors = [(name or UNNAMED, NUMPY_DATATYPES.get(kind, "BYTES"), shape) for name, kind, shape in self.tensors]
        inputs, outputs = (
            [{"name": name, "datatype": datatype, "shape": list(shape)} for name, datatype, shape in side]
            for side in ([*columns, *tensors], self.outputs)
        )
        versions = {"versions": [version]} if version else {}
        return {"name": model, **versions, "platform": "mlflow", "inputs": inputs, "outputs": outputs}


def _kind(spec: Mapping[str, Any]) -> str:
    kind = str(spec.get("type"))
    return f"{_kind(spec['items'])}[]" if kind == "array" else kind


def dimensions(kind: str) -> int:
    """Of the tensor that holds a column of the type: rows, and one for each level of an array of numbers or texts."""
    return 1 + kind.count("[]") if kind.rstrip("[]") in MLFLOW_DATATYPES else 1


def _specs(signature: Mapping[str, Any] | None, side: str) -> list[dict[str, Any]]:
    text = (signature or {}).get(side)
    return list(json.loads(text)) if text else []


def optional_columns(signature: Mapping[str, Any] | None) -> frozenset[str]:
    """Input columns that a request may leave out."""
    specs = _specs(signature, "inputs")
    return frozenset(str(spec["name"]) for spec in specs if "name" in spec and spec.get("required") is False)
