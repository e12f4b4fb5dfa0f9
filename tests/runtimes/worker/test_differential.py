"""The same requests to MLflow's own scoring server and to ours: same status, same predictions, same kind of refusal.

Requests are generated from a fixed seed, from well-formed to broken in one or several places, for every kind of
signature. Ours goes through the front's checks and the worker's merging, eight requests to a model call where the
model allows it. What may differ is listed in `wanted_difference`, and nothing else may.
"""

# ruff: noqa: PLC0415 -- MLflow and scikit-learn take seconds to import; only tests that need them pay.

import json
import logging
import math
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from headrace.runtimes.protocols import errors, packing, request_body
from headrace.runtimes.protocols.errors import Dialect, Failure
from headrace.runtimes.worker import loading
from headrace.runtimes.worker.merging import Merger
from headrace.runtimes.worker.scoring import Request, Scorer
from tests.runtimes.generated_requests import GOOD, csv_request, encoded, table_request, tensor_request

pytestmark = pytest.mark.slow

REQUESTS_PER_MODEL = 240

ECHO = """
import numpy as np
import pandas as pd

def told(value):
    if isinstance(value, pd.DataFrame):
        return [{str(name): f"{value[name].dtype} {one!r}" for name, one in row.items()}
                for row in value.to_dict(orient="records")]
    if isinstance(value, np.ndarray):
        return [f"{value.dtype} {one!r}" for one in value.tolist()]
    if isinstance(value, dict):
        return {str(key): told(one) for key, one in value.items()}
    return f"{type(value).__name__} {value!r}"

class Model(PythonModel):
    def predict(self, context, model_input, params=None):
        labels = getattr(model_input, "index", [])
        named = [f"{type(labels).__name__} {getattr(labels, 'dtype', None)} {label!r}" for label in labels]
        return {"input": told(model_input), "labels": named, "params": told(params)}
"""


def described(merger: Merger) -> dict[str, Any]:
    """What a worker says of its model, as far as it decides what the front packs."""
    return {
        "packs": merger.packs,
        "packs_shape": merger.packs_shape,
        "fast_forms": merger.forms,
        "labels": merger.labels,
    }


def packed(packer: packing.Packer, body: bytes) -> packing.Packed | None:
    """What the front would pack."""
    found = packer.text(body)
    if found is None and request_body.json_fault(body) is None:
        found = packer.document(request_body.parse_json(body))
    return found


class Pair:
    """MLflow's server and ours around one model."""

    def __init__(self, path: Path) -> None:
        from mlflow.pyfunc import load_model, scoring_server
        from starlette.testclient import TestClient

        self.theirs = TestClient(scoring_server.init(load_model(str(path))), raise_server_exceptions=False)
        scorer = Scorer(loading.load(str(path)))
        self.merger = Merger(scorer)
        self.merger.prepare(loading.warm_up_body(str(path), scorer.model.metadata))
        self.packed = 0

    def ask_mlflow(self, content_type: str, body: bytes) -> tuple[int, Any]:
        response = self.theirs.post("/invocations", content=body, headers={"content-type": content_type})
        try:
            return response.status_code, response.json()
        except ValueError:
            return response.status_code, response.text

    def ask_us(self, requests: list[tuple[str, bytes]], *, packs: bool) -> list[tuple[int, Any]]:
        """Our answers, with numbers packed as the front does it, or all as they came."""
        packer = packing.Packer(described(self.merger) if packs else {})
        results: list[tuple[int, Any]] = []
        passed: list[Request] = []
        for content_type, body in requests:
            kind = request_body.content_type(content_type.encode())
            refused = kind if isinstance(kind, Failure) else None
            if kind == request_body.JSON:
                refused = request_body.json_fault(body)
            numbers = packed(packer, body) if kind == request_body.JSON else None
            if refused is not None:
                assert numbers is None, body
                answer = errors.worded(refused, Dialect.MLFLOW)
                results.append((answer.status, json.loads(answer.body)))
            else:
                assert isinstance(kind, str)
                self.packed += numbers is not None
                passed.append(Request(kind, body) if numbers is None else Request(*numbers))
                results.append((0, None))
        scored = iter(self.merger.answer(passed))
        for index, (status, _) in enumerate(results):
            if status == 0:
                code, said = next(scored)
                if code != 200:
                    said = errors.worded(errors.of_worker(code, said), Dialect.MLFLOW).body
                results[index] = code, json.loads(said, parse_constant=pytest.fail)
        return results


def wanted_difference(content_type: str, body: bytes, theirs: tuple[int, Any], ours: tuple[int, Any]) -> bool:
    """The documented exceptions (docs/runtimes.md)."""
    if content_type != request_body.JSON:
        return False
    # NaN, Infinity and numbers beyond a double are not JSON: 400, where MLflow takes them or fails with 500.
    return request_body.json_fault(body) is not None and ours[0] == 400 and theirs[0] in (200, 400, 500)


def alike(theirs: Any, ours: Any) -> bool:
    """Equal, floats to 1e-6, with null where MLflow writes NaN or Infinity."""
    if isinstance(theirs, float) and not math.isfinite(theirs):
        return ours is None
    if isinstance(theirs, float) and isinstance(ours, (int, float)):
        return math.isclose(theirs, ours, rel_tol=1e-6, abs_tol=1e-9)
    if isinstance(theirs, list):
        return isinstance(ours, list) and len(theirs) == len(ours) and all(map(alike, theirs, ours))
    if isinstance(theirs, dict):
        return (
            isinstance(ours, dict) and theirs.keys() == ours.keys() and all(alike(theirs[k], ours[k]) for k in theirs)
        )
    return bool(theirs == ours)


def compare(pair: Pair, requests: list[tuple[str, bytes]]) -> None:
    for start in range(0, len(requests), 8):
        chunk = requests[start : start + 8]
        theirs_of_chunk = [pair.ask_mlflow(content_type, body) for content_type, body in chunk]
        ours_of_chunk = [*pair.ask_us(chunk, packs=True), *pair.ask_us(chunk, packs=False)]
        for (content_type, body), theirs, ours in zip(chunk * 2, theirs_of_chunk * 2, ours_of_chunk, strict=True):
            if wanted_difference(content_type, body, theirs, ours):
                continue
            told = f"{content_type} {body!r}\nMLflow: {theirs}\nours: {ours}"
            if theirs[0] == 500 and ours[0] == 400:
                continue  # an input that MLflow falls over is refused
            assert ours[0] == theirs[0], told
            if ours[0] == 200:
                assert alike(theirs[1], ours[1]), told
            else:
                assert ours[1]["error_code"] == theirs[1]["error_code"], told
                assert "stack_trace" not in ours[1], told
                assert "Traceback" not in json.dumps(ours[1]), told


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory, python_model: Callable[..., Path]) -> dict[str, Any]:
    """Model directories with what their requests look like."""
    import mlflow
    import numpy as np
    import pandas as pd
    from mlflow.models import ModelSignature, infer_signature
    from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema, TensorSpec
    from mlflow.types.schema import Array, Map, Object, Property
    from sklearn.compose import make_column_transformer
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
    from sklearn.linear_model import LinearRegression, LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer, OrdinalEncoder

    logging.getLogger("mlflow").setLevel(logging.ERROR)
    directory = tmp_path_factory.mktemp("differential")
    generator = np.random.default_rng(0)
    made: dict[str, Any] = {}

    def keep(name: str, model: Any, rows: Any, columns: Any, signature: Any = None, **keywords: Any) -> None:
        path = directory / name
        mlflow.sklearn.save_model(
            model,
            str(path),
            signature=signature or infer_signature(rows, model.predict(rows)),
            input_example=rows[:3],
            pip_requirements=["mlflow"],
            serialization_format="cloudpickle",
            **keywords,
        )
        made[name] = (path, columns)

    doubles = [(name, "double", True) for name in "abcd"]
    rows = pd.DataFrame(generator.normal(size=(60, 4)), columns=list("abcd"))
    labels = (rows.a + rows.b > 0).astype(int)
    keep("classifier", LogisticRegression().fit(rows, labels), rows, doubles)
    keep("probabilities", LogisticRegression().fit(rows, labels), rows, doubles, pyfunc_predict_fn="predict_proba")
    keep("text labels", RandomForestClassifier(5).fit(rows, labels.map({0: "no", 1: "yes"})), rows, doubles)
    keep("regressor", RandomForestRegressor(5).fit(rows, rows.a), rows, doubles)
    one = rows[["a"]]
    keep("one column", LinearRegression().fit(one, rows.b), one, [("a", "double", True)])
    mixed_kinds = [("d", "double"), ("f", "float"), ("l", "long"), ("i", "integer"), ("b", "boolean"), ("s", "string")]
    mixed_columns = [(name, kind, True) for name, kind in mixed_kinds]
    mixed = pd.DataFrame(
        {
            "d": generator.normal(size=60),
            "f": generator.normal(size=60).astype("float32"),
            "l": generator.integers(-9, 9, 60),
            "i": generator.integers(-9, 9, 60).astype("int32"),
            "b": generator.random(60) > 0.5,
            "s": ["a", "b", "c"] * 20,
        }
    )
    encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    pipeline = make_pipeline(
        make_column_transformer((encoder, ["s"]), remainder="passthrough"), RandomForestClassifier(5)
    )
    keep("mixed", pipeline.fit(mixed, labels), mixed, mixed_columns)
    keep(
        "batch mean", make_pipeline(FunctionTransformer(_centred), LinearRegression()).fit(rows, rows.a), rows, doubles
    )
    array = rows.to_numpy()
    keep("tensor", LogisticRegression().fit(array, labels), array, ((4,), False))
    whole = generator.integers(-9, 9, (60, 4))
    keep("whole tensor", LogisticRegression().fit(whole, labels), whole, ((4,), True))

    def echo(name: str, inputs: Any, columns: Any, params: Any = None) -> None:
        signature = ModelSignature(inputs=inputs, outputs=Schema([ColSpec(DataType.string)]), params=params)
        made[name] = (python_model(ECHO, signature=signature), columns)

    all_columns = [(f"c_{kind}", kind, True) for kind in GOOD]
    echo("all types", Schema([ColSpec(DataType[kind], name) for name, kind, _ in all_columns]), all_columns)
    optional = [("a", "double", True), ("b", "double", False), ("s", "string", False)]
    echo("optional", Schema([ColSpec(DataType[kind], name, required=need) for name, kind, need in optional]), optional)
    parameters = ParamSchema([ParamSpec("temperature", DataType.double, 1.0)])
    echo("params", Schema([ColSpec(DataType.double, name) for name, _, _ in doubles]), doubles, parameters)
    echo("named tensors", Schema([TensorSpec(np.dtype("float64"), (-1,), name) for name in "ab"]), doubles[:2])
    echo("image", Schema([TensorSpec(np.dtype("float32"), (-1, 2, 3))]), ((2, 3), False))
    nested = Schema(
        [
            ColSpec(Array(DataType.double), "a"),
            ColSpec(Object([Property("x", DataType.string)]), "b"),
            ColSpec(Map(DataType.long), "c"),
        ]
    )
    echo("nested", nested, doubles[:3])
    made["no signature"] = (python_model(ECHO), doubles)
    return made


def _centred(rows: Any) -> Any:
    return rows - rows.mean(axis=0)


NAMES = (
    "classifier", "probabilities", "text labels", "regressor", "one column", "mixed", "batch mean", "tensor",
    "whole tensor", "all types", "optional", "params", "named tensors", "image", "nested", "no signature",
)  # fmt: skip
MERGED = ("classifier", "probabilities", "text labels", "regressor", "one column", "mixed", "tensor", "whole tensor")

PACKED = (
    "classifier",
    "probabilities",
    "text labels",
    "regressor",
    "one column",
    "batch mean",
    "tensor",
    "params",
    "image",
)


@pytest.mark.parametrize("name", NAMES)
def test_every_request_is_answered_as_mlflow_answers_it(models: dict[str, Any], name: str) -> None:
    path, columns = models[name]
    pair = Pair(path)
    generator = random.Random(f"headrace {name}")
    requests: list[tuple[str, bytes]] = []
    for _ in range(REQUESTS_PER_MODEL):
        if isinstance(columns, tuple):
            requests.append((request_body.JSON, encoded(generator, tensor_request(generator, *columns))))
        elif generator.random() < 0.12:
            requests.append((request_body.CSV, csv_request(generator, columns)))
        else:
            requests.append((request_body.JSON, encoded(generator, table_request(generator, columns))))

    assert pair.merger.merges == (name in MERGED), pair.merger.reason
    compare(pair, requests)
    assert (pair.packed >= 20) == (name in PACKED), pair.packed


CANARIES: list[Any] = ["canary-4111", 4111.25, -4111, ["canary-4111"], {"canary-4111": "canary-4111"}, [[4111.25]]]


def sprinkled(generator: random.Random, document: Any) -> Any:
    """The document with a value that can be recognised, or a key, in a place or two."""
    if isinstance(document, dict) and document and generator.random() < 0.9:
        key = generator.choice(list(document))
        if generator.random() < 0.15:
            return {("canary-4111" if name == key else name): value for name, value in document.items()}
        return {**document, key: sprinkled(generator, document[key])}
    if isinstance(document, list) and document and generator.random() < 0.9:
        at = generator.randrange(len(document))
        return [*document[:at], sprinkled(generator, document[at]), *document[at + 1 :]]
    return generator.choice(CANARIES)


@pytest.mark.parametrize("name", NAMES)
def test_no_refusal_repeats_a_value_of_the_request(models: dict[str, Any], name: str) -> None:
    path, columns = models[name]
    pair = Pair(path)
    generator = random.Random(f"headrace canary {name}")
    refused = 0
    for _ in range(REQUESTS_PER_MODEL):
        is_tensor = isinstance(columns, tuple)
        document = tensor_request(generator, *columns) if is_tensor else table_request(generator, columns)
        for _ in range(generator.choice([1, 1, 2])):
            document = sprinkled(generator, document)
        body = json.dumps(document).encode()
        lines = csv_request(generator, columns).decode().split("\n") if not is_tensor else ["a,b", "1,canary-4111"]
        lines[generator.randrange(len(lines))] += generator.choice([",canary-4111", 'canary-4111"', ",4111.25"])
        for content_type, sent in ((request_body.JSON, body), (request_body.CSV, "\n".join(lines).encode())):
            [(status, told)] = pair.ask_us([(content_type, sent)], packs=True)
            if status != 200:
                refused += 1
                assert "4111" not in json.dumps(told), (sent, told)
                assert told["message"]

    assert refused >= REQUESTS_PER_MODEL / 8


def test_enough_requests_are_compared() -> None:
    assert REQUESTS_PER_MODEL * len(NAMES) >= 2000


def test_large_tables_packed_by_the_front_are_answered_as_mlflow_answers_them(models: dict[str, Any]) -> None:
    path, columns = models["probabilities"]
    pair = Pair(path)
    generator = random.Random("headrace packed")
    names = [name for name, _, _ in columns]
    packer = packing.Packer(described(pair.merger))
    found = 0
    for _ in range(40):
        shuffled = generator.sample([*names, "extra"], len(names) + 1) if generator.random() < 0.5 else names
        data = [
            [generator.choice([generator.uniform(-9, 9), 3]) for _ in shuffled] for _ in range(generator.randint(1, 60))
        ]
        if generator.random() < 0.3:
            generator.choice(data)[0] = generator.choice([None, "x", True, 10**300, [1]])
        document = {"dataframe_split": {"columns": shuffled, "data": data}}
        body = json.dumps(document).encode()
        doubles = packed(packer, body)
        found += doubles is not None
        request = Request(request_body.JSON, body) if doubles is None else Request(*doubles)
        small = Request(
            request_body.JSON, json.dumps({"dataframe_records": [dict(zip(names, [1] * 4, strict=True))]}).encode()
        )
        for answer, asked in zip(pair.merger.answer([request, small]), (body, small.body), strict=True):
            status, theirs = pair.ask_mlflow(request_body.JSON, asked)
            assert answer.status == status
            assert status != 200 or alike(theirs, json.loads(answer.body))

    assert found >= 20


def test_tensors_packed_by_the_front_reach_the_model_bit_by_bit_as_from_mlflow(models: dict[str, Any]) -> None:
    path, _ = models["image"]
    pair = Pair(path)
    shape = pair.merger.packs_shape
    generator = random.Random("headrace singles")
    numbers = [0.1, 1 / 3, 16777217, 1e-45, 7e-46, -0.0, 3.4e38, 123456789.123456789, -7]

    def filled(shape: list[int]) -> Any:
        return [filled(shape[1:]) for _ in range(shape[0])] if shape else generator.choice(numbers) + generator.random()

    assert shape
    for items in (1, 2, 5):
        body = json.dumps({"inputs": filled([items, *shape])}).encode()
        numbers_of = packed(packing.Packer(described(pair.merger)), body)
        assert numbers_of is not None
        [answer] = pair.merger.answer([Request(*numbers_of)])
        assert (answer.status, json.loads(answer.body)) == pair.ask_mlflow(request_body.JSON, body)
