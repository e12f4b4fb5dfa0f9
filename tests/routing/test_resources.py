"""Messages built from parts, versioned by their content."""

from hypothesis import given
from hypothesis import strategies as st

from headrace.routing.snapshot.resources import Resource, Tree

bodies = st.dictionaries(st.sampled_from("xyz"), st.integers(), max_size=3)


def test_the_order_of_keys_is_no_content() -> None:
    assert Resource.of("a", {"x": 1, "y": 2}) == Resource.of("a", {"y": 2, "x": 1})


@given(st.lists(bodies))
def test_a_tree_is_the_message_with_its_parts_in_place(parts: list[dict[str, int]]) -> None:
    children = [Tree.of(part) for part in parts]
    names = [f"n{at}" for at in range(len(parts))]

    assert Tree.of({"a": {"b": 1}}, "a.list", children).whole() == {"a": {"b": 1, "list": parts}}
    assert Tree.of({}, "map", dict(zip(names, children, strict=True))).whole() == {
        "map": dict(zip(names, parts, strict=True))
    }


def test_an_any_carries_the_type_of_its_part() -> None:
    packed = Tree.packing({"action": {}}, "action.config", "envoy.Route", Tree.of({"x": 1}))

    assert packed.whole() == {"action": {"config": {"@type": "type.googleapis.com/envoy.Route", "x": 1}}}


@given(bodies, bodies)
def test_versions_are_equal_when_the_content_is(one: dict[str, int], other: dict[str, int]) -> None:
    trees = [Tree.of({}, "parts", [Tree.of(body)]) for body in (one, other)]

    assert (trees[0].digest == trees[1].digest) == (one == other)
