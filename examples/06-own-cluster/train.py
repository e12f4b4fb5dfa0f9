"""Trains a small model and registers it as `fraud` at the tracking server that MLFLOW_TRACKING_URI names."""

import mlflow
from mlflow.models import infer_signature
from sklearn.datasets import make_classification
from sklearn.linear_model import LogisticRegression

rows, labels = make_classification(1000, 3, n_informative=3, n_redundant=0, random_state=7)
model = LogisticRegression().fit(rows, labels)
signature = infer_signature(rows, model.predict(rows))
mlflow.sklearn.log_model(
    model, name="fraud", signature=signature, input_example=rows[:2], registered_model_name="fraud"
)
