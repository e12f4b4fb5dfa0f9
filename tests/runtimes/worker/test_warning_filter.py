"""One filter in the place of all shows what all of them showed."""

import warnings
from collections.abc import Iterator
from typing import Any

import pytest

from headrace.runtimes.worker import warning_filter

SCRIPT = """
import warnings
def tell():
    for text, kind in (("a", UserWarning), ("b", UserWarning), ("old", DeprecationWarning), ("late", ResourceWarning)):
        warnings.warn(text, kind, stacklevel=1)
"""


@pytest.fixture
def shown() -> Iterator[list[str]]:
    """Texts of the warnings that were shown."""
    texts: list[str] = []

    def show(message: Any, *rest: Any) -> None:
        texts.append(str(message))

    with warnings.catch_warnings():
        warnings.resetwarnings()
        warnings.showwarning = show
        yield texts


def tell(times: int = 3) -> None:
    names: dict[str, Any] = {"__name__": f"teller_{id(object())}"}
    exec(compile(SCRIPT, "teller.py", "exec"), names)
    for _ in range(times):
        names["tell"]()


def prepared() -> None:
    warnings.simplefilter("ignore", ResourceWarning)
    warnings.simplefilter("always", DeprecationWarning)
    warnings.filterwarnings("ignore", message="b")


def test_what_is_shown_stays_the_same(shown: list[str]) -> None:
    prepared()
    tell()
    before = list(shown)
    shown.clear()

    assert warning_filter.settle()
    tell()

    assert len(warnings.filters) == 1
    assert shown == before == ["a", "old", "old", "old"]


def test_filters_set_up_anew_by_a_library_show_a_warning_once_still(shown: list[str]) -> None:
    prepared()
    warning_filter.settle()
    names: dict[str, Any] = {"__name__": "teller"}
    exec(compile(SCRIPT, "teller.py", "exec"), names)
    for _ in range(3):
        with warnings.catch_warnings():  # as scikit-learn does; Python then forgets what it has shown
            warnings.resetwarnings()
            warnings.simplefilter("always", append=True)
            names["tell"]()

    assert shown.count("a") == 1


def test_a_warning_that_is_an_error_is_raised(shown: list[str]) -> None:
    warnings.simplefilter("error", UserWarning)
    warning_filter.settle()

    with pytest.raises(UserWarning, match="a"):
        tell()


def test_once_and_module_are_kept(shown: list[str]) -> None:
    warnings.filterwarnings("once", message="a")
    warnings.filterwarnings("module", message="b")
    warnings.simplefilter("ignore", append=True)
    warning_filter.settle()
    tell()

    assert shown == ["a", "b"]


def test_texts_without_end_stop_being_shown(shown: list[str]) -> None:
    warning_filter.settle()
    for number in range(5000):
        warnings.warn(f"value {number}", UserWarning, stacklevel=1)

    assert len(shown) == 4096


def test_filters_that_look_at_modules_stay(shown: list[str]) -> None:
    warnings.filterwarnings("ignore", module="pandas")
    before = list(warnings.filters)

    assert not warning_filter.settle()
    assert warnings.filters == before
