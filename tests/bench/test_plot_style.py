"""Plots look alike: a system has one colour everywhere, and bars that differ tenfold can be compared."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))  # bench/ is a plain folder

from bench import plot_style


@pytest.mark.parametrize("word", ["headrace", "Headrace APA", "headrace, FP8", "ours fixed, 2 pods", "cluster"])
def test_headrace_has_one_colour_under_every_name(word: str) -> None:
    assert plot_style.colour(word) == plot_style.OURS


def test_settings_of_a_peer_share_its_colour_and_no_two_systems_do() -> None:
    systems = ["headrace", "mlflow", "fastapi", "bentoml", "ray", "mlserver", "Knative KPA", "HPA", "KEDA", "vllm"]

    assert plot_style.colour("Knative KPA, delay 60 s") == plot_style.colour("Knative KPA")
    assert len({plot_style.colour(system) for system in systems}) == len(systems)


def test_names_are_written_as_people_write_them() -> None:
    assert plot_style.name("logistic") == "scikit-learn logistic"
    assert plot_style.name("logistic, 16 connections") == "scikit-learn logistic, 16 connections"
    assert plot_style.name("a word of nobody") == "a word of nobody"


@pytest.mark.parametrize(
    ("value", "text"), [(18420.4, "18,420"), (127.31, "127"), (2.914, "2.91"), (0.0533, "0.053"), (0, "0")]
)
def test_numbers_on_bars_have_no_powers_of_ten(value: float, text: str) -> None:
    assert plot_style.number(value) == text


@pytest.mark.parametrize(("values", "kind"), [([3.0, 29.0], "linear"), ([3.0, 31.0], "log"), ([0.0, 5.0], "linear")])
def test_an_axis_is_logarithmic_where_values_differ_tenfold(values: list[float], kind: str, tmp_path: Path) -> None:
    figure, axes = plot_style.panels(1, 1, height=2)

    plot_style.scale(axes[0][0], values)

    assert axes[0][0].get_yscale() == kind
    plot_style.save(figure, tmp_path / "drawn.png")
