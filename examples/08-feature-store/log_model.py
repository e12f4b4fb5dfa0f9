"""Logs a model that reads its features from a Feast server, and registers it as `churn`."""

import json
import os
import urllib.request

import mlflow
import pandas


class Churn(mlflow.pyfunc.PythonModel):
    """Scores customers by what the feature store knows of them."""

    def predict(self, context, model_input: pandas.DataFrame, params=None) -> list[float]:
        customers = model_input["customer"].tolist()
        asked = {"features": ["customer:calls", "customer:months"], "entities": {"customer": customers}}
        request = urllib.request.Request(
            f"{os.environ['FEAST_URL']}/get-online-features",
            data=json.dumps(asked).encode(),
            headers={"Authorization": f"Bearer {os.environ['FEAST_TOKEN']}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=5) as response:
            found = json.load(response)
        values = dict(zip(found["metadata"]["feature_names"], found["results"], strict=True))
        pairs = zip(values["calls"]["values"], values["months"]["values"], strict=True)
        return [min(1.0, calls / (1 + months)) for calls, months in pairs]


if __name__ == "__main__":
    signature = mlflow.models.infer_signature(pandas.DataFrame({"customer": ["c-1"]}), [0.5])
    mlflow.pyfunc.log_model(name="churn", python_model=Churn(), signature=signature, registered_model_name="churn")
