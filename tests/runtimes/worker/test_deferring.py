"""Modules whose code runs when somebody asks them for a name."""

# ruff: noqa: PLC0415 -- scikit-learn takes seconds to import; only the test that needs it pays.

import importlib
import sys
import threading
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from headrace.runtimes.worker import deferring
from headrace.runtimes.worker.deferring import Deferred

PACKAGE = "hr_statistics"
FILES = {
    f"{PACKAGE}/__init__.py": "from hr_statistics.ranks import rank\nRAN.append('statistics')\nTABLE = {1: 2}\n",
    f"{PACKAGE}/ranks.py": "RAN.append('ranks')\n\ndef rank(values):\n    return sorted(values)\n",
    "hr_library/__init__.py": "import hr_statistics\nfrom hr_statistics import rank\n",
    "hr_broken/__init__.py": "HALF = 1\nraise OSError('no such device')\n",
    "hr_apart/__init__.py": "RAN.append('apart')\nALL = 1\n",
    "hr_apart/constants.py": "RAN.append('constants')\nLEAST = 3\n",
}
MODEL = "flavors:\n  python_function:\n    loader_module: {}\n"


class World:
    """Packages on a path of their own, and what of them has run."""

    def __init__(self, directory: Path) -> None:
        self.ran: list[str] = []
        for name, text in FILES.items():
            path = directory / "site" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        self.model = directory / "model"
        self.model.mkdir()
        (self.model / "MLmodel").write_text(MODEL.format("mlflow.sklearn"))
        self.site = directory / "site"


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    made = World(tmp_path)
    monkeypatch.syspath_prepend(str(made.site))
    monkeypatch.setattr("builtins.RAN", made.ran, raising=False)
    monkeypatch.setattr(deferring, "WHOLE", (PACKAGE, "hr_broken"))
    monkeypatch.setattr(deferring, "APART", ("hr_apart",))
    monkeypatch.setattr(deferring, "FUNCTIONS", frozenset(((PACKAGE, "rank"),)))
    monkeypatch.setattr(deferring, "_TAKERS", "hr_library")
    finder = deferring.defer(str(made.model))
    assert finder is not None
    yield made
    sys.meta_path.remove(finder)
    for name in [name for name in sys.modules if name.startswith("hr_")]:
        del sys.modules[name]


def load(name: str) -> Any:
    return importlib.import_module(name)


def test_a_deferred_module_runs_when_it_is_asked_for_a_name_and_once(world: World) -> None:
    module = load(PACKAGE)
    assert world.ran == []

    assert module.TABLE == {1: 2}
    assert module.rank([2, 1]) == [1, 2]
    assert world.ran == ["ranks", "statistics"]
    assert type(module) is types.ModuleType
    assert load(PACKAGE) is module


def test_a_library_that_takes_a_function_gets_one_that_does_the_same(world: World) -> None:
    library = load("hr_library")
    assert world.ran == []

    assert library.rank([3, 1]) == [1, 3]
    assert world.ran == ["ranks", "statistics"]


def test_everybody_else_gets_the_function_itself(world: World) -> None:
    load("hr_library")

    assert load(PACKAGE).rank is load(f"{PACKAGE}.ranks").rank


def test_a_module_within_a_deferred_package_is_imported_after_the_package_and_once(world: World) -> None:
    load(PACKAGE)

    ranks = load(f"{PACKAGE}.ranks")

    assert world.ran == ["ranks", "statistics"]
    assert ranks.__spec__.name == f"{PACKAGE}.ranks"
    assert load(PACKAGE).ranks is ranks


def test_single_modules_of_a_package_that_is_apart_do_without_it(world: World) -> None:
    constants = load("hr_apart.constants")

    assert (constants.LEAST, world.ran) == (3, ["constants"])
    assert load("hr_apart").constants is constants
    assert load("hr_apart").ALL == 1
    assert world.ran == ["constants", "apart"]


@pytest.mark.parametrize(
    "look", [dir, lambda module: setattr(module, "TABLE", 5), lambda module: hasattr(module, "nothing")]
)
def test_whoever_looks_into_a_module_or_changes_it_finds_it_whole(world: World, look: Callable[[Any], Any]) -> None:
    module = load(PACKAGE)

    look(module)

    assert world.ran == ["ranks", "statistics"]
    assert module.TABLE in ({1: 2}, 5)


def test_what_the_code_raises_is_raised_each_time_and_nothing_half_made_is_seen(world: World) -> None:
    module = load("hr_broken")

    for _ in range(2):
        with pytest.raises(OSError, match="no such device"):
            assert module.HALF


def test_threads_that_ask_at_once_see_one_whole_module(world: World) -> None:
    module = load(PACKAGE)
    together = threading.Barrier(4)
    found: list[Any] = []

    def ask() -> None:
        together.wait()
        found.append(module.TABLE)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert found == [{1: 2}] * 4
    assert world.ran == ["ranks", "statistics"]


@pytest.mark.parametrize("loader", ["mlflow.pyfunc.model", "mlflow.transformers", "mlflow.sklearnish"])
def test_nothing_is_deferred_for_a_model_of_which_it_is_not_known_what_it_uses(tmp_path: Path, loader: str) -> None:
    (tmp_path / "MLmodel").write_text(MODEL.format(loader))

    assert deferring.defer(str(tmp_path)) is None
    assert deferring.defer(str(tmp_path / "missing")) is None


def test_deferred_is_what_it_says(world: World) -> None:
    assert isinstance(load(PACKAGE), Deferred)
    assert not isinstance(load("hr_library"), Deferred)


@pytest.mark.slow
def test_a_model_that_cannot_be_loaded_this_way_is_loaded_with_everything_imported(
    start_front: Any, tmp_path: Path
) -> None:
    import mlflow
    from sklearn.base import BaseEstimator

    class Suspicious(BaseEstimator):
        def fit(self, rows: Any, labels: Any) -> "Suspicious":
            return self

        def __setstate__(self, state: Any) -> None:
            import sys
            import types

            if type(sys.modules["scipy.stats"]) is not types.ModuleType:
                raise RuntimeError("what is this?")

        def predict(self, rows: Any) -> Any:
            return [1 for _ in range(len(rows))]

    mlflow.sklearn.save_model(Suspicious(), str(tmp_path / "model"), serialization_format="cloudpickle")
    with start_front(tmp_path / "model") as front:
        assert front.post('{"inputs": [[1.0], [2.0]]}').json() == {"predictions": [1, 1]}
        assert "loading again with every library imported at once" in front.log.read_text()
        assert front.metric("headrace_worker_exits_total") == 0
