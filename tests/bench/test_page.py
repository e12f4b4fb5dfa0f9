"""The page of benchmarks says what the results say."""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))  # bench/ is a plain folder

from bench import page

RESULT = {
    "machine": {"cores": 2},
    "versions": {"python": "3.11"},
    "cells": [],
    "bars": [
        {"name": "cluster start", "rule": "<= 40 s", "value": 14.25, "holds": True},
        {"name": "rollback", "rule": "<= 15 s", "value": 16.0, "holds": False},
    ],
}


def test_the_page_is_what_the_results_make_of_it() -> None:
    assert page.PAGE.read_text() == page.page(), "run `python -m bench.page`"


def test_a_bar_that_was_missed_is_called_missed(tmp_path: Path) -> None:
    (tmp_path / "deploy.json").write_text(json.dumps(RESULT))
    (tmp_path / "deploy.png").touch()

    written = page.page(tmp_path, tmp_path / "long.json")

    assert "| cluster start | <= 40 s | 14.25 | holds |" in written
    assert "| rollback | <= 15 s | 16 | **missed** |" in written
    assert "![Coming up, changing, going back](../bench/results/deploy.png)" in written


def test_a_story_that_did_not_end_well_is_seen(tmp_path: Path) -> None:
    stories = {
        "test_x.py::test_all_is_well": {"outcome": "passed", "seconds": 3, "requests": 40, "not_200": 0},
        "test_x.py::test_it_hangs[etcd-30]": {"outcome": "failed", "seconds": 62},
    }
    record = {"command": "make test-long", "machine": "2 cores", "kubernetes": "v1.36.3", "stories": stories}
    (tmp_path / "long.json").write_text(json.dumps(record))

    written = page.page(tmp_path, tmp_path / "long.json")

    assert "| all is well | 40 | 0 | 3 s | passed |" in written
    assert "| it hangs (etcd-30) |  |  | 62 s | **failed** |" in written


def test_long_settings_are_a_table_after_the_bars(tmp_path: Path) -> None:
    settings = {"mlflow": "mlflow models serve --workers 2", "environment peers": "a package of its own, " * 3}
    (tmp_path / "runtime.json").write_text(json.dumps({**RESULT, "versions": settings}))

    written = page.page(tmp_path, tmp_path / "long.json")

    assert "`make bench-runtime`. Machine: cores 2.\n" in written
    assert written.index("| rollback |") < written.index("| mlflow | mlflow models serve --workers 2 |")


def test_the_product_comes_first_with_the_measures_of_each_case(tmp_path: Path) -> None:
    measured = (("answers", 2800.0), ("p99", 41.25), ("failures", 0), ("CPU a request, proxies and pods", 0.4321))
    cells = [{"case": "logistic", "system": "headrace", "metric": name, "value": value} for name, value in measured]
    (tmp_path / "product.json").write_text(json.dumps({**RESULT, "cells": cells}))
    (tmp_path / "product.png").touch()
    (tmp_path / "deploy.json").write_text(json.dumps(RESULT))

    written = page.page(tmp_path, tmp_path / "long.json")

    assert written.index("`make bench-product`") < written.index("`make bench-deploy`")
    assert "| logistic | headrace | 2,800 |  | 41.25 | 0 |  |  |  | 432 |  |" in written
    assert "![The product as one, on the cluster](../bench/results/product.png)" in written
