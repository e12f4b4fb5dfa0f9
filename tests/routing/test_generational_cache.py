"""Results live for as long as each generation uses them."""

from headrace.routing.snapshot import GenerationalCache


def test_a_result_lives_for_as_long_as_each_generation_uses_it() -> None:
    computed: list[str] = []

    def compute(name: str) -> str:
        computed.append(name)
        return name.upper()

    cache = GenerationalCache()
    for used in (["a", "b"], ["a", "b"], ["a"], ["a", "b"]):
        cache.next_generation()
        assert [cache(compute, name) for name in used] == [name.upper() for name in used]

    assert computed == ["a", "b", "b"], "b was not used in one generation, and computed again after it"


def test_results_are_told_apart_by_function_and_arguments() -> None:
    cache = GenerationalCache()

    assert [cache(function, 3) for function in (str, float, str)] == ["3", 3.0, "3"]
    assert [cache(str, number) for number in (3, 4)] == ["3", "4"]
