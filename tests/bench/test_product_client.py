"""The client of bench-product against a server that answers, refuses and breaks: every request is in the ledger."""

import asyncio
import base64
import datetime
import ipaddress
import ssl
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

sys.path.insert(0, str(Path(__file__).parents[2]))  # bench/ is a plain folder

from bench.product import client, wire

GOOD = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n[]"
REFUSED = b"HTTP/1.1 429 Too Many Requests\r\nretry-after: 1\r\nContent-Length: 0\r\n\r\n"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Certificate and key of 127.0.0.1, in one file; the certificate is its own authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return path


@contextmanager
def served(certificate: Path, answer: Callable[[int], bytes | None]) -> Iterator[int]:
    """Port of a server with TLS that answers each request, by its number, or closes the connection."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    loop = asyncio.new_event_loop()
    count = 0

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal count
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                size = int(head.lower().split(b"content-length: ")[1].split(b"\r")[0])
                await reader.readexactly(size)
                said = answer(count)
                count += 1
                if said is None:
                    break
                writer.write(said)
        except (asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
            pass
        writer.close()

    server = loop.run_until_complete(asyncio.start_server(talk, "127.0.0.1", 0, ssl=context))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        asyncio.run_coroutine_threadsafe(over(server), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def over(server: asyncio.Server) -> None:
    """Ends the server and whoever still talks."""
    server.close()
    talking = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in talking:
        task.cancel()
    await asyncio.gather(*talking, return_exceptions=True)


def job(port: int, certificate: Path, **load: Any) -> dict[str, Any]:
    parts = [b"POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 4\r\n\r\n", b"body"]
    texts = [base64.b64encode(part).decode() for part in parts]
    return {"host": "127.0.0.1", "port": port, "ca_file": str(certificate), "parts": texts, **load}


def test_every_request_of_a_closed_loop_is_in_the_ledger(certificate: Path, tmp_path: Path) -> None:
    """Answers, refusals and broken connections add up to what was sent; a broken connection is replaced."""
    statuses = {GOOD: 200, REFUSED: 429, None: client.LOST}
    given: list[bytes | None] = []

    def answer(number: int) -> bytes | None:
        given.append([GOOD, GOOD, REFUSED, GOOD, None][number % 5])
        return given[-1]

    ledger = tmp_path / "ledger.csv"
    with served(certificate, answer) as port:
        result = client.run(job(port, certificate, connections=4, seconds=0.5, ledger=str(ledger)))

    lines = ledger.read_text().splitlines()[1:]
    assert len(lines) == result["sent"] == len(given)
    assert result["statuses"] == Counter(statuses[each] for each in given)
    assert result["answers"] == given.count(GOOD)
    assert sum(each["answers"] for each in result["track"]) == result["answers"]
    assert sum(each["failures"] for each in result["track"]) == result["failures"] == len(given) - given.count(GOOD)


def test_an_open_loop_sends_what_is_due_and_nothing_twice(certificate: Path) -> None:
    with served(certificate, lambda number: None if number == 7 else GOOD) as port:
        result = client.run(job(port, certificate, rates=[10, 40], most_connections=3))

    assert result["sent"] == 50
    assert result["statuses"] == {200: 49, client.LOST: 1}


def test_a_connection_is_renewed_after_its_share_of_requests(certificate: Path) -> None:
    with served(certificate, lambda _: GOOD) as port:
        sender = client.Sender(job(port, certificate, requests_a_connection=2))
        first = sender.connections.open()
        used = [sender.send(first, 0.0)]
        for _ in range(2):
            answered = next(each for _ in range(100) for each in sender.connections.answered(1.0))
            used.append(sender.send(answered[0], 0.0))

    assert used[0] is used[1] is first
    assert used[2] is not first
    assert first.closed


def test_calls_of_grpc_end_as_the_server_says(tmp_path: Path) -> None:
    """Calls that end well and calls that are refused, with metadata longer than a length in one byte of HPACK."""
    seen: list[str] = []

    def answer(request: bytes, context: grpc.ServicerContext) -> bytes:
        seen.append(dict(context.invocation_metadata())["authorization"])
        if len(seen) % 2 == 0:
            context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "full")
        return request

    server = grpc.server(client_pool())
    handlers = {"Infer": grpc.unary_unary_rpc_method_handler(answer)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Service", handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    token = "x" * 900
    parts = wire.call("test", "/test.Service/Infer", b"hello", [("authorization", token)], secure=False)
    texts = [base64.b64encode(part).decode() for part in parts]
    try:
        result = client.run(
            {"host": "127.0.0.1", "port": port, "parts": texts, "grpc": True, "connections": 1, "seconds": 0.5}
        )
    finally:
        server.stop(None)

    assert set(seen) == {token}
    assert result["sent"] == len(seen)
    assert set(result["statuses"]) <= {200, 500}
    assert result["failures"] == len(seen) // 2


def client_pool() -> Any:
    """Threads for grpcio's server."""
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415

    return ThreadPoolExecutor(2)
