"""Saves a small convolutional network with random weights; run by the interpreter of the environment with torch."""

import json
import shutil
import sys
from pathlib import Path

import mlflow
import numpy as np
import torch
from mlflow.models import infer_signature
from torch import nn

SHAPE = (1, 28, 28)


def main(directory: Path) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 16, 3, padding=1), nn.ReLU(),
        nn.MaxPool2d(2), nn.Flatten(), nn.Linear(16 * 7 * 7, 10),
    )  # fmt: skip
    network.eval()
    example = np.random.default_rng(0).random((2, *SHAPE), dtype=np.float32)
    with torch.no_grad():
        result = network(torch.from_numpy(example)).numpy()
    shutil.rmtree(directory / "cnn", ignore_errors=True)
    mlflow.pytorch.save_model(
        network,
        str(directory / "cnn"),
        signature=infer_signature(example, result),
        input_example=example,
        pip_requirements=["mlflow", "torch"],
        serialization_format="pickle",
    )
    (directory / "cnn.columns.json").write_text(json.dumps([]))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
