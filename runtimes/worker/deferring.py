"""Libraries that come along with a model and are hardly ever used: imported when they are used.

`import sklearn` brings all of `scipy.stats`, for three functions that no prediction calls, and `import mlflow` brings
what it has for language models and for its gateway, FastAPI included: together a third of the CPU time in which the
worker of a scikit-learn model starts (docs/decisions/0311). A deferred module is in `sys.modules` at once; its code
runs when somebody asks it for a name, and from then on it is a module like any other.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import re
import sys
import types
from collections.abc import Sequence
from typing import Any, cast

LOADERS = frozenset(("mlflow.sklearn", "mlflow.xgboost", "mlflow.lightgbm", "mlflow.catboost"))
"""Flavors whose models are no code of the user's, so that it is known what they import."""

WHOLE = ("scipy.stats", "scipy.integrate", "scipy.spatial.transform", "numpy.f2py", "numpy.testing", "asyncio")
"""Packages that run before anything in them is imported, as usual."""
APART = ("mlflow.genai", "mlflow.gateway")
"""Packages of which MLflow itself imports single modules: those are imported without the package's own code."""

FUNCTIONS = frozenset(
    (
        ("scipy.stats", "rankdata"),
        ("scipy.stats", "gmean"),
        ("scipy.stats", "spearmanr"),
        ("scipy.integrate", "trapezoid"),
    )
)
"""What scikit-learn takes by name when it is imported: it gets a function that asks for the real one when called."""
_TAKERS = "sklearn."

_LOADER_LINE = re.compile(r"^\s+loader_module:\s*(\S+)\s*$", re.MULTILINE)


class Deferred(types.ModuleType):
    """A module whose code has not run."""

    def __getattr__(self, name: str) -> Any:
        # Names that are there, such as those of modules below it, do not come here.
        if (self.__name__, name) in FUNCTIONS and _asker().startswith(_TAKERS):
            return _stand_in(self, name)
        run(self)
        return getattr(self, name)

    def __setattr__(self, name: str, value: Any) -> None:
        own = name.startswith("__") or sys.modules.get(f"{self.__name__}.{name}") is value
        if not own and not _loader(self).runs:  # a patch from outside: on what the module is
            run(self)
        types.ModuleType.__setattr__(self, name, value)

    def __dir__(self) -> list[str]:
        run(self)
        return list(types.ModuleType.__dir__(self))


class Loader(importlib.abc.Loader):
    """Makes a module and leaves its code for later."""

    def __init__(self, loader: Any) -> None:
        self.loader = loader
        """The module's own."""
        self.runs = False
        """Whether the code runs now, in the thread that holds the module's lock."""

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType | None:
        """The module as its own loader makes it."""
        made: types.ModuleType | None = self.loader.create_module(spec)
        return made

    def exec_module(self, module: types.ModuleType) -> None:
        """Runs nothing yet."""
        module.__class__ = Deferred

    def __getattr__(self, name: str) -> Any:
        return getattr(self.loader, name)


class _Present(importlib.abc.Loader):
    """For a module that came into being while it was looked for."""

    def __init__(self, module: types.ModuleType) -> None:
        self._module = module
        self._spec = module.__spec__

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType:
        return self._module

    def exec_module(self, module: types.ModuleType) -> None:
        module.__spec__ = self._spec


class Finder(importlib.abc.MetaPathFinder):
    """Finds the modules that are to be deferred, before others find them."""

    def __init__(self) -> None:
        self.deferred: list[str] = []

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """The spec of a module that is to be deferred."""
        if name in WHOLE or name in APART:
            spec = importlib.machinery.PathFinder.find_spec(name, path, target)
            if spec is None or not isinstance(spec.loader, importlib.machinery.SourceFileLoader):
                return None
            spec.loader = Loader(spec.loader)
            self.deferred.append(name)
            return spec
        parent = name.rpartition(".")[0]
        package = sys.modules.get(parent)
        if parent in WHOLE and isinstance(package, Deferred) and not _loader(package).runs:
            run(package)
            present = sys.modules.pop(name, None)  # the import system puts it back: it holds the module's lock here
            if present is not None:  # the package imports it, and a module must not run twice
                return importlib.util.spec_from_loader(name, _Present(present))
        return None


def run(module: types.ModuleType) -> None:
    """Runs the code of a deferred module. What it raises, whoever asked for a name gets: now, and when asking again."""
    if not isinstance(module, Deferred):
        return
    loader = _loader(module)
    # The import system's own lock: another thread waits until the module is whole, and a deadlock is found.
    with importlib._bootstrap._ModuleLockManager(module.__name__):  # type: ignore[attr-defined] # private, since 3.3
        if not isinstance(module, Deferred):
            return
        if loader.runs:  # its own code asks, directly or by another module
            raise AttributeError(f"module {module.__name__!r} is being imported and does not have that name yet")
        before = set(vars(module))
        loader.runs = True
        try:
            loader.loader.exec_module(module)
        except BaseException:
            for name in set(vars(module)) - before:
                if f"{module.__name__}.{name}" not in sys.modules:
                    delattr(module, name)
            raise
        finally:
            loader.runs = False
        module.__loader__ = _spec(module).loader = loader.loader
        module.__class__ = types.ModuleType  # type: ignore[assignment] # a module of a module's subclass may become one


def _spec(module: types.ModuleType) -> importlib.machinery.ModuleSpec:
    return cast(importlib.machinery.ModuleSpec, module.__spec__)  # whoever was imported has one


def _loader(module: Deferred) -> Loader:
    return cast(Loader, _spec(module).loader)


def _stand_in(module: Deferred, name: str) -> Any:
    def function(*arguments: Any, **keywords: Any) -> Any:
        return getattr(module, name)(*arguments, **keywords)

    function.__name__ = function.__qualname__ = name
    function.__module__ = module.__name__
    return function


def _asker() -> str:
    """Name of the module whose code asks a deferred one for a name, past Python's own import system."""
    frame = sys._getframe(2)
    while frame.f_back is not None and str(frame.f_globals.get("__name__", "")).startswith("importlib."):
        frame = frame.f_back
    return str(frame.f_globals.get("__name__", ""))


def defer(model_directory: str) -> Finder | None:
    """Defers from now on what models of that flavor do not use; None where nothing is known of the flavor."""
    try:
        with open(f"{model_directory}/MLmodel", encoding="utf-8") as file:
            found = _LOADER_LINE.search(file.read())
    except OSError:
        return None
    if found is None or found[1].strip("'\"") not in LOADERS:
        return None
    finder = Finder()
    sys.meta_path.insert(0, finder)
    return finder
