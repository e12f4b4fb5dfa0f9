"""Ray Serve with its batching, one replica a core."""

import asyncio
import json
import os
import sys
import time
from typing import Any

import mlflow.pyfunc
import pandas as pd
import ray
from ray import serve
from starlette.requests import Request

COLUMNS = json.loads(os.environ["BENCH_COLUMNS"])
BATCHED = os.environ["BENCH_BATCHED"] == "1"


@serve.deployment(num_replicas=2, max_ongoing_requests=256, ray_actor_options={"num_cpus": 0})
class Model:
    def __init__(self) -> None:
        self.model = mlflow.pyfunc.load_model(os.environ["BENCH_MODEL"])

    def _frame(self, rows: list[Any]) -> list[Any]:
        result = self.model.predict(pd.DataFrame(rows, columns=COLUMNS))
        return result.tolist() if hasattr(result, "tolist") else list(result)

    @serve.batch(max_batch_size=64, batch_wait_timeout_s=0.0)
    async def merged(self, parts: list[Any]) -> list[Any]:
        result = self._frame([row for part in parts for row in part])
        answers, start = [], 0
        for part in parts:
            answers.append(result[start : start + len(part)])
            start += len(part)
        return answers

    async def __call__(self, request: Request) -> dict[str, Any]:
        rows = (await request.json())["dataframe_split"]["data"]
        if BATCHED:
            return {"predictions": await self.merged(rows)}
        return {"predictions": await asyncio.to_thread(self._frame, rows)}


if __name__ == "__main__":
    ray.init(num_cpus=2, include_dashboard=False, logging_level="ERROR", object_store_memory=200_000_000)
    serve.start(http_options={"host": "127.0.0.1", "port": int(sys.argv[1])})
    serve.run(
        Model.bind(),  # type: ignore[attr-defined] # the decorator's own
        route_prefix="/predict",
    )
    while True:
        time.sleep(1)
