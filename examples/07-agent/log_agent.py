"""Logs an agent that asks an API of OpenAI's kind, and registers it as `support` where MLFLOW_TRACKING_URI leads."""

import json
import os
import urllib.request

import mlflow


class Agent(mlflow.pyfunc.PythonModel):
    """Answers each question by asking a language model. The key is read when it is needed and is part of nothing."""

    def predict(self, model_input: list[str]) -> list[str]:
        return [self._answer(question) for question in model_input]

    def _answer(self, question: str) -> str:
        base = os.environ.get("OPENAI_BASE_URL", "https://api.openai.com/v1")
        asked = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": question}]}
        request = urllib.request.Request(
            f"{base}/chat/completions",
            data=json.dumps(asked).encode(),
            headers={"Authorization": f"Bearer {os.environ['OPENAI_API_KEY']}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as response:
            return str(json.load(response)["choices"][0]["message"]["content"])


if __name__ == "__main__":
    mlflow.pyfunc.log_model(name="support", python_model=Agent(), registered_model_name="support")
