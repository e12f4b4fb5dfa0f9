"""`python tests/components/endpoint/mlmodels/make.py [NAME…]`: saves a small model of each flavor with MLflow, in an
environment each, and keeps its MLmodel file here as NAME.yaml: what the golden table of the selection reads.

Run by hand when MLflow changes what it writes; the environments take some gigabytes of uv's cache. It needs uv.
"""

# ruff: noqa: PLC0415, ANN, D103 -- each function runs in an environment that has what it imports, and nothing else.
# mypy: ignore-errors

import hashlib
import re
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
NEW = "mlflow==3.17.2"
TORCH = [NEW, "torch", "numpy", "pandas"]
HUGGING = [*TORCH, "transformers<5", "tokenizers"]
SKLEARN = [NEW, "scikit-learn", "pandas"]
BARE = [NEW, "pandas", "scikit-learn"]
MAKERS = {
    "sklearn": SKLEARN,
    "sklearn-pickle": ["mlflow==2.9.2", "scikit-learn<1.4", "pandas<2.2", "numpy<2", "setuptools<70"],
    "sklearn-mlflow-1": ["mlflow==1.30.1", "scikit-learn<1.3", "pandas<2", "numpy<1.25", "scipy<1.12", "setuptools<70"],
    "xgboost-booster": [*SKLEARN, "xgboost"],
    "xgboost-classifier": [*SKLEARN, "xgboost"],
    "lightgbm": [*SKLEARN, "lightgbm"],
    "catboost": [*SKLEARN, "catboost"],
    "statsmodels": [*SKLEARN, "statsmodels"],
    "prophet": [*SKLEARN, "prophet"],
    "spacy": [*SKLEARN, "spacy"],
    "onnx": [*SKLEARN, "onnx", "onnxruntime"],
    "pytorch": TORCH,
    "tensorflow": [NEW, "tensorflow-cpu", "pandas"],
    "keras": [NEW, "tensorflow-cpu", "pandas"],
    "transformers-classification": HUGGING,
    "transformers-generation": HUGGING,
    "transformers-chat": HUGGING,
    "transformers-embeddings": HUGGING,
    "sentence-transformers": [*HUGGING, "sentence-transformers"],
    "sentence-transformers-embeddings": [*HUGGING, "sentence-transformers"],
    "pyfunc": BARE,
    "pyfunc-code": BARE,
    "pyfunc-streaming": BARE,
    "chat-model": BARE,
    "chat-agent": BARE,
    "responses-agent": BARE,
    "langchain": [*BARE, "langchain"],
    "openai": [*BARE, "openai", "tenacity", "tiktoken"],
    "dspy": [*BARE, "dspy"],
}


def table():
    """Columns of the models that take tables."""
    import pandas

    return pandas.DataFrame({"a": [1.0, 2.0, 3.0, 4.0], "b": [0.5, 1.5, 0.5, 1.5]})


def save(flavor, model, path, **keywords):
    """Saves with a signature where the model can be asked for a prediction of the table."""
    from mlflow.models import infer_signature

    example = table()
    try:
        keywords["signature"] = infer_signature(example, model.predict(example))
    except Exception as error:
        print(f"{flavor.__name__}: without a signature: {error}", file=sys.stderr)
    flavor.save_model(model, path, **keywords)


def sklearn(path):
    import mlflow.sklearn
    from sklearn.linear_model import LogisticRegression

    save(mlflow.sklearn, LogisticRegression().fit(table(), [0, 1, 0, 1]), path)


sklearn_pickle = sklearn_mlflow_1 = sklearn


def xgboost_booster(path):
    import mlflow.xgboost
    import xgboost

    booster = xgboost.train({}, xgboost.DMatrix(table(), [0, 1, 0, 1]), 2)
    mlflow.xgboost.save_model(booster, path)


def xgboost_classifier(path):
    import mlflow.xgboost
    from xgboost import XGBClassifier

    save(mlflow.xgboost, XGBClassifier(n_estimators=2).fit(table(), [0, 1, 0, 1]), path)


def lightgbm(path):
    import mlflow.lightgbm
    from lightgbm import LGBMRegressor

    save(mlflow.lightgbm, LGBMRegressor(n_estimators=2, min_child_samples=1).fit(table(), [0.0, 1.0, 0.0, 1.0]), path)


def catboost(path):
    import mlflow.catboost
    from catboost import CatBoostClassifier

    model = CatBoostClassifier(iterations=2, verbose=0, allow_writing_files=False).fit(table(), [0, 1, 0, 1])
    save(mlflow.catboost, model, path)


def statsmodels(path):
    import mlflow.statsmodels
    import statsmodels.api

    save(mlflow.statsmodels, statsmodels.api.OLS([1.0, 2.0, 3.0, 4.5], table()).fit(), path)


def prophet(path):
    import mlflow.prophet
    import pandas
    from prophet import Prophet

    days = pandas.DataFrame({"ds": pandas.date_range("2026-01-01", periods=40), "y": range(40)})
    mlflow.prophet.save_model(Prophet().fit(days), path)


def spacy(path):
    import mlflow.spacy
    import spacy
    from spacy.training import Example

    model = spacy.blank("en")
    model.add_pipe("textcat")
    texts = [("good", {"cats": {"yes": 1.0, "no": 0.0}}), ("bad", {"cats": {"yes": 0.0, "no": 1.0}})]
    model.initialize(lambda: [Example.from_dict(model.make_doc(text), wanted) for text, wanted in texts])
    mlflow.spacy.save_model(model, path)


def onnx(path):
    import mlflow.onnx
    from onnx import TensorProto, checker, helper

    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, 2]) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "relu", ends[:1], ends[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    checker.check_model(model)
    mlflow.onnx.save_model(model, path, signature=tensors("float32", 2))


def tensors(dtype, width):
    import numpy
    from mlflow.models import infer_signature

    ones = numpy.ones((2, width), dtype)
    return infer_signature(ones, ones)


def pytorch(path):
    import mlflow.pytorch
    import torch

    example = torch.ones((1, 2)).numpy()
    mlflow.pytorch.save_model(torch.nn.Linear(2, 2), path, signature=tensors("float32", 2), input_example=example)


def network():
    import keras

    return keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])


def tensorflow(path):
    import mlflow.tensorflow

    mlflow.tensorflow.save_model(network(), path, signature=tensors("float32", 2))


def keras(path):
    import mlflow.keras

    mlflow.keras.save_model(network(), path, signature=tensors("float32", 2))


def tokenizer():
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    made = Tokenizer(models.WordLevel({"[UNK]": 0, "[PAD]": 1, "[CLS]": 2, "[SEP]": 3, "water": 4}, "[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    names = {"unk_token": "[UNK]", "pad_token": "[PAD]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    fast = PreTrainedTokenizerFast(tokenizer_object=made, bos_token="[CLS]", eos_token="[SEP]", **names)
    fast.chat_template = "{% for message in messages %}{{ message['content'] }}{% endfor %}"
    return fast


def bert(kind):
    import transformers

    small = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 1}
    return getattr(transformers, kind)(transformers.BertConfig(vocab_size=5, **small))


def transformers_classification(path):
    import mlflow.transformers
    from transformers import pipeline

    model = bert("BertForSequenceClassification")
    model = pipeline("text-classification", model=model, tokenizer=tokenizer())
    mlflow.transformers.save_model(model, path, pip_requirements=["torch"])


def transformers_generation(path, **keywords):
    import mlflow.transformers
    from transformers import LlamaConfig, LlamaForCausalLM, pipeline

    small = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 1}
    model = LlamaForCausalLM(LlamaConfig(vocab_size=5, **small))
    mlflow.transformers.save_model(
        pipeline("text-generation", model=model, tokenizer=tokenizer()), path, pip_requirements=["torch"], **keywords
    )


def transformers_chat(path):
    transformers_generation(path, task="llm/v1/chat")


def transformers_embeddings(path):
    import mlflow.transformers
    from transformers import pipeline

    model = pipeline("feature-extraction", model=bert("BertModel"), tokenizer=tokenizer())
    mlflow.transformers.save_model(model, path, task="llm/v1/embeddings", pip_requirements=["torch"])


def sentence_transformers(path, **keywords):
    import mlflow.sentence_transformers
    from sentence_transformers import SentenceTransformer, models

    with tempfile.TemporaryDirectory() as folder:
        bert("BertModel").save_pretrained(folder)
        tokenizer().save_pretrained(folder)
        words = models.Transformer(folder)
        model = SentenceTransformer(modules=[words, models.Pooling(words.get_word_embedding_dimension())])
        mlflow.sentence_transformers.save_model(model, path, **keywords)


def sentence_transformers_embeddings(path):
    sentence_transformers(path, task="llm/v1/embeddings")


def pyfunc(path):
    import mlflow.pyfunc

    class Doubled(mlflow.pyfunc.PythonModel):
        def predict(self, context, model_input, params=None):
            return model_input

    mlflow.pyfunc.save_model(path, python_model=Doubled())


def from_code(path, source, flavor="pyfunc", argument="python_model", **keywords):
    import importlib

    module = importlib.import_module(f"mlflow.{flavor}")
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "model.py"
        script.write_text(source)
        module.save_model(**{"path": path, argument: str(script)}, **keywords)


def pyfunc_code(path):
    from_code(
        path,
        "from typing import Any\nimport mlflow\n\n\nclass Model(mlflow.pyfunc.PythonModel):\n"
        "    def predict(self, model_input: list[str], params: dict[str, Any] | None = None) -> list[str]:\n"
        "        return model_input\n\n\nmlflow.models.set_model(Model())\n",
    )


def pyfunc_streaming(path):
    from_code(
        path,
        "import mlflow\n\n\nclass Model(mlflow.pyfunc.PythonModel):\n"
        "    def predict(self, context, model_input, params=None):\n        return ['a']\n\n"
        "    def predict_stream(self, context, model_input, params=None):\n        yield 'a'\n\n\n"
        "mlflow.models.set_model(Model())\n",
    )


def chat_model(path):
    from_code(
        path,
        "import mlflow\nfrom mlflow.types.llm import ChatChoice, ChatCompletionResponse, ChatMessage\n\n\n"
        "class Model(mlflow.pyfunc.ChatModel):\n    def predict(self, context, messages, params):\n"
        "        said = ChatMessage(role='assistant', content='yes')\n"
        "        return ChatCompletionResponse(choices=[ChatChoice(index=0, message=said)])\n\n\n"
        "mlflow.models.set_model(Model())\n",
    )


def chat_agent(path):
    from_code(
        path,
        "import mlflow\nfrom mlflow.types.agent import ChatAgentMessage, ChatAgentResponse\n\n\n"
        "class Model(mlflow.pyfunc.ChatAgent):\n    def predict(self, messages, context=None, custom_inputs=None):\n"
        "        said = ChatAgentMessage(role='assistant', content='yes', id='1')\n"
        "        return ChatAgentResponse(messages=[said])\n\n\nmlflow.models.set_model(Model())\n",
    )


def responses_agent(path):
    from_code(
        path,
        "import mlflow\nfrom mlflow.types.responses import ResponsesAgentResponse\n\n\n"
        "class Model(mlflow.pyfunc.ResponsesAgent):\n    def predict(self, request):\n"
        "        return ResponsesAgentResponse(output=[self.create_text_output_item('yes', '1')])\n\n\n"
        "mlflow.models.set_model(Model())\n",
    )


def langchain(path):
    from_code(
        path,
        "import mlflow\nfrom langchain_core.runnables import RunnableLambda\n\n"
        "mlflow.models.set_model(RunnableLambda(lambda given: str(given)))\n",
        "langchain",
        "lc_model",
        input_example="water",
    )


def openai(path):
    import mlflow.openai

    mlflow.openai.save_model("gpt-4o", "chat.completions", path, messages=[{"role": "user", "content": "{question}"}])


def dspy(path):
    import dspy
    import mlflow.dspy

    mlflow.dspy.save_model(dspy.Predict("question -> answer"), path, task="llm/v1/chat")


def main(names):
    """Saves each of them, or all; says what failed and goes on."""
    home = Path.home() / ".cache" / "headrace" / "mlmodels"
    failed = []
    for name in names or MAKERS:
        requirements = MAKERS[name]
        environment = home / hashlib.sha256("\n".join(requirements).encode()).hexdigest()[:12]
        done = environment / ".complete"
        if not done.exists():
            subprocess.run(["uv", "venv", "-q", "--clear", "--python", "3.11", str(environment)], check=True)
            python = str(environment / "bin" / "python")
            subprocess.run(["uv", "pip", "install", "-q", "--python", python, *requirements], check=True)
            done.touch()
        with tempfile.TemporaryDirectory() as folder:
            command = [str(environment / "bin" / "python"), __file__, "--save", name, f"{folder}/model"]
            if subprocess.run(command, cwd=folder, check=False).returncode != 0:
                failed.append(name)
                continue
            text = Path(f"{folder}/model/MLmodel").read_text()
            (HERE / f"{name}.yaml").write_text(re.sub(rf"{tempfile.gettempdir()}/\w+", "/tmp/made", text))
    print(f"saved all but {failed}" if failed else "saved all")
    return len(failed)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--save"]:
        sys.path.pop(0)  # this folder
        globals()[sys.argv[2].replace("-", "_")](sys.argv[3])
    else:
        sys.exit(main(sys.argv[1:]))
