"""Issuer server: what an OpenID Connect issuer publishes, on the loopback, in a test's hand."""

import json
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from issuer import Signer, write_certificate


class IssuerServer:
    """Publishes the keys of its signers; over TLS where it has a folder for its certificate."""

    def __init__(self, folder: Path | None = None, path: str = "") -> None:
        self.asked: list[str] = []
        self.is_away = False
        """Whether it hangs up on everybody."""
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                outer.asked.append(self.path)
                if outer.is_away:
                    self.close_connection = True
                    return
                status, headers, body = outer.documents.get(self.path, (404, {}, b"{}"))
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.authority: str | None = None
        if folder is not None:
            write_certificate(folder)
            self.authority = (folder / "tls.crt").read_text()
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(folder / "tls.crt", folder / "tls.key")
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        scheme, host = ("http", "127.0.0.1") if folder is None else ("https", "localhost")
        self.base = f"{scheme}://{host}:{self._server.server_address[1]}"
        self.issuer = f"{self.base}{path}"
        self.signer = Signer(issuer=self.issuer)
        self.documents: dict[str, tuple[int, dict[str, str], bytes]] = {}
        self.say("/.well-known/openid-configuration", {"issuer": self.issuer, "jwks_uri": f"{self.base}/jwks"}, path)
        self.publish(self.signer)
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def say(self, path: str, document: Any, below: str = "") -> None:
        """What is at a path: a document as JSON, or bytes as they are."""
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        self.documents[below.rstrip("/") + path] = (200, {"content-type": "application/json"}, body)

    def publish(self, *signers: Signer) -> None:
        """From now on these sign."""
        self.say("/jwks", {"keys": [signer.jwk() for signer in signers]})

    def rotate(self) -> Signer:
        """A new key beside the one before, which signs from now on."""
        before, self.signer = self.signer, Signer(kid=f"{self.signer.kid}-next", issuer=self.issuer)
        self.publish(before, self.signer)
        return before

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
