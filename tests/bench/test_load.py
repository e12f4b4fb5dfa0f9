"""The load client against a server that answers, refuses and breaks: every request is in the ledger."""

import asyncio
import datetime
import ipaddress
import ssl
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

sys.path.insert(0, str(Path(__file__).parents[2]))  # bench/ is a plain folder

from bench import bodies
from bench.load import generator, rpc
from bench.load.client import Job, run
from bench.load.ledger import Ledger

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
def served(
    certificate: Path | None, answer: Callable[[int], bytes | None], uses: list[int] | None = None
) -> Iterator[int]:
    """Port of a server that answers each request, by its number, or closes the connection; with TLS or without.

    `uses`: how many requests came on each connection.
    """
    context = None
    uses = [] if uses is None else uses
    if certificate is not None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate)
    loop = asyncio.new_event_loop()
    count = 0

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal count
        place = len(uses)
        uses.append(0)
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                size = int(head.lower().split(b"content-length: ")[1].split(b"\r")[0])
                await reader.readexactly(size)
                said = answer(count)
                uses[place] += 1
                count += 1
                if said is None:
                    break
                writer.write(said)
        except (asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
            pass
        finally:
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


def job(port: int, certificate: Path | None, **load: Any) -> Job:
    parts = [b"POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 4\r\n\r\n", b"body"]
    ca_file = None if certificate is None else str(certificate)
    return Job(host="127.0.0.1", port=port, ca_file=ca_file, parts=bodies.texts(parts), **load)


def test_every_request_of_a_closed_loop_is_in_the_ledger(certificate: Path, tmp_path: Path) -> None:
    """Answers, refusals and broken connections add up to what was sent; a broken connection is replaced."""
    statuses = {GOOD: 200, REFUSED: 429}
    given: list[bytes | None] = []

    def answer(number: int) -> bytes | None:
        given.append([GOOD, GOOD, REFUSED, GOOD, None][number % 5])
        return given[-1]

    ledger = tmp_path / "ledger.csv"
    with served(certificate, answer) as port:
        result = run(job(port, certificate, connections=4, seconds=0.5, ledger=str(ledger)))

    lines = ledger.read_text().splitlines()[1:]
    assert len(lines) == result["sent"] == len(given)
    assert result["statuses"] == Counter(statuses[each] for each in given if each is not None)
    assert result["broken"] == given.count(None)
    assert result["answers"] == given.count(GOOD)
    assert sum(each["answers"] for each in result["track"]) == result["answers"]
    assert sum(each["failures"] for each in result["track"]) == result["failures"] == len(given) - given.count(GOOD)


def test_an_open_loop_sends_what_is_due_and_nothing_twice(certificate: Path) -> None:
    with served(certificate, lambda number: None if number == 7 else GOOD) as port:
        result = run(job(port, certificate, rates=[10, 40], seconds=2, connections=3))

    assert result["sent"] == 50
    assert result["statuses"] == {200: 49}
    assert result["broken"] == result["failures"] == 1


def test_a_connection_is_renewed_after_its_share_of_requests(certificate: Path) -> None:
    uses: list[int] = []
    with served(certificate, lambda _: GOOD, uses) as port:
        result = run(job(port, certificate, connections=1, seconds=0.2, requests_a_connection=2))

    assert result["failures"] == 0
    assert max(uses) == 2
    assert sum(uses) == result["sent"]


def test_what_is_due_in_the_warm_up_is_sent_and_not_counted() -> None:
    given: list[int] = []

    def answer(number: int) -> bytes:
        given.append(number)
        return REFUSED if number < 20 else GOOD

    with served(None, answer) as port:
        result = run(job(port, None, rate=100.0, connections=4, warm_up_seconds=0.2, seconds=0.3))

    assert len(given) == 50
    assert result["statuses"] == {200: 30}


def test_parts_that_leave_apart_are_the_same_request() -> None:
    with served(None, lambda _: GOOD) as port:
        result = run(job(port, None, connections=3, seconds=0.2, apart=True))

    assert result["answers"] == result["sent"] > 0


def test_an_answer_is_whole_with_its_own_length_or_its_last_chunk() -> None:
    """Another header may end in the same words, and a name may be written in any way."""
    other = b"HTTP/1.1 200 OK\r\ninference-header-content-length: 1\r\nCONTENT-length: 70000\r\n\r\n" + bytes(70_000)
    chunked = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n[]\r\n0\r\n\r\n"
    with served(None, lambda number: chunked if number % 2 else other) as port:
        result = run(job(port, None, connections=2, seconds=0.2))

    assert result["statuses"] == {200: result["sent"]}


def test_latency_counts_from_when_a_request_was_due() -> None:
    """A tenth of a second late is in the latency of its answer, and told apart."""
    ledger = Ledger(lines=[(10.0, 10.1, 10.3, 200), (10.5, 10.5, 10.52, 429), (9.0, 9.0, 10.2, 200)])

    told = ledger.told(begin=10.0, seconds=1.0)

    assert (told["sent"], told["answers"], told["goodput"]) == (2, 1, 2.0)
    assert told["p99_ms"] == pytest.approx(300)
    assert told["late_p99_ms"] == pytest.approx(100)
    assert told["refused_p50_ms"] == told["refused_sent_p50_ms"] == pytest.approx(20)
    [second] = told["track"]
    assert (second["answers"], second["failures"], second["p99_ms"]) == (1, 1, told["p99_ms"])


def test_a_load_runs_in_a_process_of_its_own() -> None:
    """Servers are told when its connections are open, and it says why it failed."""
    opened: list[int] = []
    with served(None, lambda _: GOOD) as port:
        told = generator.run(asdict(job(port, None, connections=2, seconds=0.2)), lambda: opened.append(port))

    assert opened == [port]
    assert told["statuses"] == {"200": told["sent"]}
    with pytest.raises(RuntimeError, match="refused"):
        generator.run(asdict(job(port, None, connections=2, seconds=0.2)))


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
    parts = bodies.texts(rpc.call("test", "/test.Service/Infer", b"hello", [("authorization", token)]))
    try:
        result = run(Job(host="127.0.0.1", port=port, parts=parts, grpc=True, connections=1, seconds=0.5))
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
