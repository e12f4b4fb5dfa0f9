"""Who sends a request, out of the headers that the PopProxy sets; and whom an endpoint admits."""

from typing import Any

import pytest

from headrace.contract import names
from headrace.contract.caller import Caller, listed_group
from headrace.contract.model_endpoint import ModelEndpointSpec, ServedVersion

VERSION = ServedVersion(name="v1", model_uri="models:/m/1", image="i@sha256:0")


def endpoint(**access: Any) -> ModelEndpointSpec:
    return ModelEndpointSpec(versions=(VERSION,), **access)


def test_a_request_without_a_token_is_nobodys() -> None:
    assert Caller.of(lambda _: None) == Caller("", frozenset())


@pytest.mark.parametrize("group", ["corp:risk", "a,b", ",", "100%", "%2C", "two words", "Prüfung", "https://x/y#a/b"])
def test_each_group_is_read_as_it_was_listed(group: str) -> None:
    line = listed_group("first")[:-1] + listed_group(group)
    headers = {names.SUBJECT_HEADER: "corp:bob", names.GROUPS_HEADER: line}

    assert Caller.of(headers.get) == Caller("corp:bob", frozenset({"first", group}))
    assert line.isascii()


def test_a_subject_is_read_as_servers_give_bytes() -> None:
    headers = {names.SUBJECT_HEADER: "jürgen".encode().decode("latin-1")}
    assert Caller.of(headers.get).subject == "jürgen"


def test_an_endpoint_admits_whom_either_list_names_and_all_without_lists() -> None:
    alice, bob = Caller("alice"), Caller("bob", frozenset({"risk", "x"}))
    found = {
        "open": (endpoint().admits(alice), endpoint().admits(bob), endpoint().admits(Caller())),
        "subjects": tuple(endpoint(allowed_subjects=("alice",)).admits(each) for each in (alice, bob, Caller())),
        "groups": tuple(endpoint(allowed_groups=("risk",)).admits(each) for each in (alice, bob, Caller())),
        "both": tuple(
            endpoint(allowed_subjects=("alice",), allowed_groups=("risk",)).admits(each)
            for each in (alice, bob, Caller("eve", frozenset({"alice"})))
        ),
        "a group is no subject": (endpoint(allowed_groups=("alice",)).admits(alice),),
    }
    assert found == {
        "open": (True, True, True),
        "subjects": (True, False, False),
        "groups": (False, True, False),
        "both": (True, True, False),
        "a group is no subject": (False,),
    }
