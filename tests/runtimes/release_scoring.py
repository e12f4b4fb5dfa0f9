"""`PYTHON release_scoring.py RUNTIMES FOLDER`: makes models with the MLflow of that environment, asks its own
scoring server and our worker's code the same. Prints one JSON object: what a model is, and what both answered.
"""

# ruff: noqa: B905, PLC0415, E402, ANN, D101, D102, D103 -- it runs with the Pythons and packages of other years
# mypy: ignore-errors

import json
import logging
import os
import sys
import warnings

warnings.filterwarnings("ignore")
logging.disable(logging.ERROR)

import mlflow
import numpy
import pandas
from mlflow.models import ModelSignature, infer_signature
from mlflow.pyfunc import PythonModel, load_model, scoring_server
from mlflow.types import ColSpec, DataType, Schema, TensorSpec
from scipy import sparse
from sklearn.linear_model import LinearRegression

JSON, CSV = "application/json", "text/csv"


class Echo(PythonModel):
    def predict(self, context, model_input, params=None):
        if isinstance(model_input, pandas.DataFrame):
            kinds = [str(kind) for kind in model_input.dtypes]
            return [json.dumps([kinds, model_input.to_numpy().tolist(), params], default=str)]
        return [str(model_input)]


class Writes(PythonModel):
    """Writes to the values of columns, which are the frame's own with some versions of pandas, a copy with others."""

    def predict(self, context, model_input, params=None):
        numbers = model_input[["a", "c"]]
        try:
            numbers.values[0, 0] = 9.0
            model_input.values[0, 0] = 8.0
        except ValueError as error:
            return [str(error)]
        return pandas.concat([model_input, numbers.add_prefix("numbers ")], axis=1)


class Names(PythonModel):
    """Names the columns of the frame it is given, which are nobody else's."""

    def predict(self, context, model_input, params=None):
        was, model_input.columns.name = str(model_input.columns.name), "seen"
        return [was] * len(model_input)


class Seen(PythonModel):
    """Says what it was given, whether it came as the example or as a request."""

    def predict(self, context, model_input, params=None):
        if isinstance(model_input, pandas.DataFrame):
            told = [[str(name) for name in model_input.columns], model_input.to_numpy().tolist()]
        elif isinstance(model_input, dict):
            told = {name: numpy.asarray(value).tolist() for name, value in model_input.items()}
        else:
            told = (model_input.toarray() if sparse.issparse(model_input) else numpy.asarray(model_input)).tolist()
        return [json.dumps([told, params], default=str)]


EXAMPLES = {
    "table": pandas.DataFrame({"a": [1.5, 2.5], "b": ["x", "y"]}),
    "table without names": pandas.DataFrame(numpy.eye(2)),
    "one row": {"a": 1.5, "b": "x"},
    "array": numpy.array([[1.5, 2.5], [3.5, 4.5]]),
    "arrays": {"a": numpy.array([1.5, 2.5]), "b": numpy.array([3.5, 4.5])},
    "rows": sparse.csr_matrix([[0, 1.5, 0], [2.5, 0, 0]]),
    "columns": sparse.csc_matrix([[0, 1.5, 0], [2.5, 0, 0]]),
    "text": "x",
}


def shown(folder, loading, scored):
    """Of each input example that this MLflow takes: the model's answer to it, and to our request of it."""
    given = {
        **EXAMPLES,
        "with params": (EXAMPLES["table"], {"k": 3}),
        "array with params": (EXAMPLES["array"], {"k": 3}),
    }
    for name, one in given.items():
        path = os.path.join(folder, f"example {name}")
        try:
            mlflow.pyfunc.save_model(path, python_model=Seen(), input_example=one, pip_requirements=["mlflow"])
        except Exception as error:
            logging.debug("%s", error)
            continue
        model = loading.load(path)
        if model.metadata.saved_input_example_info is None:
            continue
        params = getattr(model.metadata, "load_input_example_params", lambda path: None)(path)
        theirs = model.predict(model.metadata.load_input_example(path), **({"params": params} if params else {}))
        yield name, json.loads(theirs[0]), scored(model, loading.warm_up_body(path, model.metadata))


def split(columns, *rows, **more):
    return {"dataframe_split": {"columns": columns, "data": list(rows)}, **more}


TABLE = [
    split(["a", "b"], [1.5, 2], [2.5, 3]),
    split(["b", "a"], [2, 1.5]),
    {"dataframe_records": [{"a": 1.5, "b": 2}]},
    {"inputs": [{"a": 1.5, "b": 2}]},
    {"inputs": {"a": [1.5], "b": [2]}},
    {"instances": [{"a": 1.5, "b": 2}, {"a": 2.5, "b": 3}]},
    {"instances": [{"a": 1.5, "b": 2, "c": 1}, {"a": 2.5, "b": 3}]},
    split(["a"], [1.5]),
    split(["a", "b"], [1.5, "x"]),
    split(["a", "b"], [1.5]),
    {"dataframe_records": []},
    {"dataframe_records": {"a": 1}},
    {"dataframe_split": [1]},
    {"inputs": [1], "instances": [1]},
    {"unknown": 1},
    [1],
    1,
]
TALK = [{"messages": [{"role": "user", "content": "hello"}]}, {"prompt": "hello"}, {"input": "hello"}]
TABLES = [[JSON, json.dumps(one)] for one in TABLE] + [
    [CSV, "a,b\n1.5,2\n2.5,3\n"],
    [CSV, "a,b\n1.5,x\n"],
    [CSV, ""],
]


def models(folder):
    """Names, folders and requests."""
    rows = pandas.DataFrame(numpy.random.default_rng(0).normal(size=(30, 2)), columns=["a", "b"])
    line = LinearRegression().fit(rows, rows.a * 2)

    def saved(name, model=None, **keywords):
        path = os.path.join(folder, name)
        mlflow.pyfunc.save_model(path, python_model=model or Echo(), pip_requirements=["mlflow"], **keywords)
        return path

    path = os.path.join(folder, "line")
    signature = infer_signature(rows, line.predict(rows))
    mlflow.sklearn.save_model(
        line, path, signature=signature, input_example=rows[:2], pip_requirements=["mlflow", "scikit-learn"]
    )
    yield "line", path, TABLES
    mixed = Schema([ColSpec(DataType.double, "a"), ColSpec(DataType.long, "b")])
    yield "mixed", saved("mixed", signature=ModelSignature(inputs=mixed)), TABLES
    for kind, between in [(one, one) for one in ("double", "float", "long", "integer")] + [("double", "string")]:
        schema = Schema([ColSpec(DataType[one], name) for one, name in zip((kind, between, kind), "abc")])
        row = [1, "x" if between == "string" else 2, 3]
        asked = [split(["a", "b", "c"], *[row] * rows) for rows in (1, 2)]
        asked += [{form: [dict(zip("abc", row))]} for form in ("dataframe_records", "instances")]
        for model in (Writes(), Names()):
            name = f"{type(model).__name__} {kind} {between}"
            path = saved(name, model, signature=ModelSignature(inputs=schema))
            yield name, path, [[JSON, json.dumps(one)] for one in asked]
    image = Schema([TensorSpec(numpy.dtype("float32"), (-1, 2))])
    asked = [{"inputs": [[1, 2], [3, 4]]}, {"instances": [[1, 2]]}, {"inputs": [[1, 2, 3]]}]
    yield "tensor", saved("tensor", signature=ModelSignature(inputs=image)), [[JSON, json.dumps(one)] for one in asked]
    yield "none", saved("none"), TABLES + [[JSON, json.dumps(one)] for one in TALK]
    if hasattr(mlflow.types, "ParamSchema"):
        from mlflow.types import ParamSchema, ParamSpec

        params = ParamSchema([ParamSpec("t", DataType.double, 1.0)])
        schema = Schema([ColSpec(DataType.double, "a")])
        asked = [split(["a"], [1.5], params=given) for given in ({"t": 2}, {"t": "x"}, {"u": 1}, None)]
        path = saved("params", signature=ModelSignature(inputs=schema, params=params))
        yield "params", path, [[JSON, json.dumps(one)] for one in asked]


def main():
    sys.path.insert(0, sys.argv[1])
    from worker import loading
    from worker.merging import Merger
    from worker.scoring import Request, Scorer

    told = {"mlflow": mlflow.__version__}
    for name, path, requests in models(sys.argv[2]):
        scorer = Scorer(loading.load(path))
        merger = Merger(scorer)
        warm_up = loading.warm_up_body(path, scorer.model.metadata)
        merger.prepare(warm_up)
        theirs = client(scoring_server.init(load_model(path)))
        told[name] = {
            "merges": merger.merges,
            "reason": merger.reason,
            "hinted": loading.description(scorer.model, load_seconds=0, warm_up_seconds=0)["hinted"],
            "example": None if warm_up is None else scorer.score(JSON, warm_up).status,
            "answers": [],
        }
        for kind, body in requests:
            for ours in merger.answer([Request(kind, body.encode())] * 2):
                told[name]["answers"].append([body, theirs(kind, body), [ours.status, ours.body.decode()]])
    told["examples"] = list(
        shown(sys.argv[2], loading, lambda model, body: Scorer(model).score(JSON, body).body.decode())
    )
    print(json.dumps(told))


def client(app):
    """What asks MLflow's own server: flask's, or starlette's."""
    flask = hasattr(app, "test_client")
    if flask:
        asked = app.test_client()
    else:
        from starlette.testclient import TestClient

        asked = TestClient(app, raise_server_exceptions=False)

    def ask(kind, body):
        if flask:
            answer = asked.post("/invocations", data=body.encode(), content_type=kind)
            return [answer.status_code, answer.get_data(as_text=True)]
        answer = asked.post("/invocations", content=body.encode(), headers={"content-type": kind})
        return [answer.status_code, answer.text]

    return ask


if __name__ == "__main__":
    main()
