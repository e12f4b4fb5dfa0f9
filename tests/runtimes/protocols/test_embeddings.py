"""OpenAI's embeddings, asked with OpenAI's client of a running front.

The two models stand for those of MLflow's sentence-transformers flavor, which needs PyTorch: they take and answer what
MLflow's own wrapper does, without and with `task = llm/v1/embeddings`.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

pytestmark = pytest.mark.slow

VECTORS = """
class Model(PythonModel):
    def predict(self, context, model_input: list[str], params=None):
        import numpy
        return numpy.array([[float(len(text)), 0.5] for text in model_input])
"""
OPENAI = """
class Model(PythonModel):
    def predict(self, context, model_input, params=None):
        given = model_input.to_dict(orient="records")[0] if hasattr(model_input, "to_dict") else model_input
        texts = [given["input"]] if isinstance(given["input"], str) else list(given["input"])
        data = [
            {"object": "embedding", "index": index, "embedding": [float(len(text)), 0.5]}
            for index, text in enumerate(texts)
        ]
        used = {"prompt_tokens": len(texts), "total_tokens": len(texts)}
        return {"object": "list", "data": data, "usage": used}
"""


def _with(model: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    path = model / "MLmodel"
    described = yaml.safe_load(path.read_text())
    change(described)
    path.write_text(yaml.safe_dump(described))
    return model


@pytest.fixture(scope="module", params=["flavor", "task"])
def front(request: pytest.FixtureRequest, start_front: Any, python_model: Callable[..., Path]) -> Iterator[Any]:
    if request.param == "flavor":
        model = _with(python_model(VECTORS), lambda made: made["flavors"].update(sentence_transformers={}))
    else:
        model = python_model(OPENAI, metadata={"task": "llm/v1/embeddings"})
    with start_front(model, HEADRACE_ENDPOINT="words") as running:
        yield running


@pytest.fixture
def client(front: Any) -> Iterator[Any]:
    library = pytest.importorskip("openai")
    with library.OpenAI(base_url=front.url + "/v1", api_key="none", max_retries=0) as made:
        yield made


@pytest.mark.parametrize("encoding", [{}, {"encoding_format": "float"}, {"encoding_format": "base64"}], ids=str)
def test_a_vector_for_each_text(client: Any, encoding: dict[str, str]) -> None:
    """Without an encoding the client asks for base64 and unpacks it."""
    one = client.embeddings.create(model="words", input="mill", **encoding)
    two = client.embeddings.create(model="words", input=["water", "headrace"], **encoding)

    if encoding.get("encoding_format") == "base64":
        assert [found.embedding for found in one.data] == ["AACAQAAAAD8="]  # 4.0 and 0.5 as two little-endian floats
    else:
        assert [found.embedding for found in one.data] == [[4.0, 0.5]]
        assert [(found.index, found.embedding) for found in two.data] == [(0, [5.0, 0.5]), (1, [8.0, 0.5])]
    assert (one.model, one.object, len(two.data)) == ("words", "list", 2)
    assert one.usage.total_tokens >= 0


def test_what_is_wrong_is_told_as_openai_tells_it(client: Any) -> None:
    import openai  # noqa: PLC0415

    for given, words in (
        ({"input": []}, "'input' must be"),
        ({"input": "x", "encoding_format": "hex"}, "must be float or base64"),
    ):
        with pytest.raises(openai.BadRequestError, match=words):
            client.embeddings.create(model="words", **given)
    with pytest.raises(openai.NotFoundError, match="does not speak this protocol"):
        client.chat.completions.create(model="words", messages=[{"role": "user", "content": "x"}])
