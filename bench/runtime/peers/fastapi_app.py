"""The server people write by hand: FastAPI around pyfunc, blocking calls in its thread pool."""

import os
from typing import Any

import anyio.to_thread
import mlflow.pyfunc
import numpy as np
import pandas as pd
from fastapi import FastAPI

model = mlflow.pyfunc.load_model(os.environ["BENCH_MODEL"])
app = FastAPI()


@app.on_event("startup")
async def allow_many_threads() -> None:
    anyio.to_thread.current_default_thread_limiter().total_tokens = 64


@app.get("/ping")
def ping() -> dict[str, Any]:
    return {}


@app.post("/predict")
def predict(request: dict[str, Any]) -> dict[str, Any]:
    if "inputs" in request:
        result = model.predict(np.asarray(request["inputs"], dtype=np.float32))
    else:
        split = request["dataframe_split"]
        result = model.predict(pd.DataFrame(split["data"], columns=split["columns"]))
    return {"predictions": result.tolist() if hasattr(result, "tolist") else list(result)}
