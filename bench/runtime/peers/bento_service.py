"""BentoML with its adaptive batching, one worker a core."""

import json
import os

import bentoml
import mlflow.pyfunc
import numpy as np
import pandas as pd

COLUMNS = json.loads(os.environ["BENCH_COLUMNS"])
BATCHED = os.environ["BENCH_BATCHED"] == "1"
WORKERS = int(os.environ.get("BENCH_WORKERS", "2"))


@bentoml.service(workers=WORKERS, threads=64, traffic={"timeout": 60, "max_concurrency": 10_000})
class Model:
    def __init__(self) -> None:
        self.model = mlflow.pyfunc.load_model(os.environ["BENCH_MODEL"])

    @bentoml.api(batchable=BATCHED, batch_dim=0, max_batch_size=4096, max_latency_ms=60_000)
    def predict(self, rows: np.ndarray) -> np.ndarray:
        data = pd.DataFrame(rows, columns=COLUMNS) if COLUMNS else rows.astype(np.float32)
        return np.asarray(self.model.predict(data))
