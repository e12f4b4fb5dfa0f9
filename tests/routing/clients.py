"""Clients: the platform from outside, without any retry that could hide a failure."""

import http.client
import json
import re
import socket
import ssl
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from issuer import Signer
from model_server import ModelServer
from patience import eventually
from proxies import ControlPlane, Envoy

from headrace.contract import names
from headrace.routing.snapshot import Endpoint, Options, World, build


@dataclass
class Answer:
    """What a client got."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Platform:
    """PopProxy → LoadBalancer → model servers, with the world in a test's hand."""

    control_plane: ControlPlane
    pop: Envoy
    balancer: Envoy
    options: Options
    signer: Signer
    ca_file: Path
    tls_directory: Path
    world: World
    servers: list[ModelServer] = field(default_factory=list)

    def server(self, name: str) -> ModelServer:
        server = ModelServer(name)
        self.servers.append(server)
        return server

    def publish(
        self, *endpoints: Endpoint, pods: Mapping[tuple[str, str], tuple[ModelServer, ...]], **world: Any
    ) -> None:
        """Makes this the world, and waits until both proxies have it."""
        addresses = {key: tuple(server.address for server in servers) for key, servers in pods.items()}
        self.publish_world(endpoints=endpoints, pods=addresses, **world)

    def publish_world(self, **changes: Any) -> None:
        """Changes parts of the world, and waits until both proxies have it."""
        self.world = replace(self.world, **changes)
        self.control_plane.publish(build(self.world, self.options))
        self.settle()

    def settle(self) -> None:
        roles = {names.POP_PROXY, names.LOAD_BALANCER}
        eventually(lambda: self.control_plane.settled(roles), "both proxies accepted the snapshot")

    def connect(self, timeout: float = 15.0) -> ssl.SSLSocket:
        context = ssl.create_default_context(cafile=str(self.ca_file))
        plain = socket.create_connection(("127.0.0.1", self.options.pop_port), timeout=timeout)
        return context.wrap_socket(plain, server_hostname="localhost")

    def request(
        self,
        path: str,
        *,
        method: str = "POST",
        token: str | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = b'{"inputs": [1]}',
    ) -> Answer:
        """One request on its own connection, never repeated. The token "" sends none; None sends a valid one."""
        context = ssl.create_default_context(cafile=str(self.ca_file))
        connection = http.client.HTTPSConnection("localhost", self.options.pop_port, context=context, timeout=15)
        sent = {"content-type": "application/json", **(headers or {})}
        bearer = self.signer.token() if token is None else token
        if bearer:
            sent["authorization"] = f"Bearer {bearer}"
        try:
            connection.request(method, path, body=body, headers=sent)
            answer = connection.getresponse()
            fields = {key.lower(): value for key, value in answer.getheaders()}
            return Answer(answer.status, fields, answer.read())
        finally:
            connection.close()

    def raw(self, data: bytes) -> bytes:
        """Sends bytes as they are and reads until the proxy closes or has answered."""
        with self.connect() as connection:
            connection.sendall(data)
            received = b""
            while chunk := connection.recv(65536):
                received += chunk
                head, blank, body = received.partition(b"\r\n\r\n")
                length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
                if blank and len(body) >= (int(length[1]) if length else 0):
                    break
            return received


class Load:
    """Clients that keep their connections and repeat nothing, from `with` to the end of the block."""

    def __init__(self, platform: Platform, path: str, clients: int = 3) -> None:
        self.outcomes: list[Answer | Exception] = []
        self._platform = platform
        self._path = path
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(clients)]

    def _run(self) -> None:
        context = ssl.create_default_context(cafile=str(self._platform.ca_file))
        port = self._platform.options.pop_port
        connection = http.client.HTTPSConnection("localhost", port, context=context, timeout=15)
        headers = {"content-type": "application/json", "authorization": f"Bearer {self._platform.signer.token()}"}
        while not self._stop.is_set():
            try:
                connection.request("POST", self._path, body=b"{}", headers=headers)
                answer = connection.getresponse()
                fields = {key.lower(): value for key, value in answer.getheaders()}
                self.outcomes.append(Answer(answer.status, fields, answer.read()))
            except (OSError, http.client.HTTPException) as error:
                self.outcomes.append(error)
                connection.close()
        connection.close()

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(20)

    def more(self, count: int = 50) -> None:
        """Waits until this many more requests have ended."""
        target = len(self.outcomes) + count
        eventually(lambda: len(self.outcomes) >= target, f"{count} more requests")

    @property
    def failures(self) -> list[Answer | Exception]:
        return [item for item in self.outcomes if not isinstance(item, Answer) or item.status != 200]

    def served_by(self) -> list[str]:
        """Who answered each request that succeeded, in order."""
        answers = [item for item in self.outcomes if isinstance(item, Answer) and item.status == 200]
        return [answer.json()["predictions"][0] for answer in answers]
