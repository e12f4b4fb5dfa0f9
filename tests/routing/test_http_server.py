"""The management API's port, over HTTP/1.1."""

import http.client
from collections.abc import Iterator

import pytest

from headrace.contract import names
from headrace.contract.caller import Caller
from headrace.kube.admin_server import Response
from headrace.routing.management.http_server import HttpServer


def said(path: str, caller: Caller) -> Response:
    if path == "/broken":
        raise ValueError(path)
    return Response(200, f"{path} for {caller.subject}".encode())


@pytest.fixture
def connection() -> Iterator[http.client.HTTPConnection]:
    server = HttpServer(0, get=said, messages={"/service/Live": b"\x08\x01"})
    server.start()
    client = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
    yield client
    client.close()
    server.stop()


def test_the_subject_is_the_headers_and_the_query_is_not_the_path(connection: http.client.HTTPConnection) -> None:
    for headers, expected in (({names.SUBJECT_HEADER: "alice"}, b"/a for alice"), ({}, b"/a for ")):
        connection.request("GET", "/a?b=c", headers=headers, body=b"dropped")
        assert connection.getresponse().read() == expected


def test_a_fault_of_ours_is_one_answer_and_no_trace(connection: http.client.HTTPConnection) -> None:
    connection.request("GET", "/broken")
    answer = connection.getresponse()

    assert (answer.status, b"Traceback" in answer.read()) == (500, False)
    connection.request("GET", "/a")
    assert connection.getresponse().status == 200


def test_a_large_body_ends_the_connection_and_is_not_read(connection: http.client.HTTPConnection) -> None:
    connection.request("GET", "/a", headers={"content-length": str(10**9)})
    answer = connection.getresponse()

    assert (answer.status, answer.read()) == (200, b"/a for ")


def test_an_unknown_method_of_grpc_is_unimplemented(connection: http.client.HTTPConnection) -> None:
    connection.request("POST", "/service/Other", body=b"")
    answer = connection.getresponse()

    assert (answer.status, answer.getheader("grpc-status")) == (200, "12")
