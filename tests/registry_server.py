"""A real image registry for tests: the CNCF distribution's server, as Debian packages it, on loopback."""

import re
import socket
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import debian_program
from patience import eventually

PACKAGE = "docker-registry"
USER, PASSWORD = "team", "correct horse"
_HTPASSWD = "team:$2b$04$abcdefghijklmnopqrstuujydOTSfIH/d5oUHpsygqV5X9xJLQc6e\n"  # bcrypt of PASSWORD


@dataclass(frozen=True, kw_only=True)
class RegistryServer:
    """One running registry."""

    address: str
    """Host and port."""
    log: Path

    def answered(self, method: str, path: str) -> int:
        """How many successful requests with that method for a path that matches."""
        lines = self.log.read_text(errors="replace").splitlines()
        return sum(1 for line in lines if re.search(rf'"{method} \S*{path}\S* HTTP/1.1" 20\d', line))

    @property
    def uploads(self) -> int:
        """Blobs that were sent to it, as opposed to those that it was found to have."""
        return self.answered("PUT", "/blobs/uploads/")


@contextmanager
def running(folder: Path, *, password: bool = False, port: int = 0) -> Iterator[RegistryServer]:
    """A registry with its blobs in `folder`, ended afterwards; with `password` only USER is let in."""
    folder.mkdir(exist_ok=True)
    address = f"127.0.0.1:{port or _free_port()}"
    settings = [
        "version: 0.1",
        "log: {accesslog: {disabled: false}}",
        f"storage: {{filesystem: {{rootdirectory: {folder / 'blobs'}}}, delete: {{enabled: true}}}}",
        f"http: {{addr: {address}}}",
    ]
    if password:
        (folder / "htpasswd").write_text(_HTPASSWD)
        settings.append(f"auth: {{htpasswd: {{realm: test, path: {folder / 'htpasswd'}}}}}")
    (folder / "config.yml").write_text("\n".join(settings) + "\n")
    log = folder / "log"
    command = [str(debian_program.find(PACKAGE, f"usr/bin/{PACKAGE}")), "serve", str(folder / "config.yml")]
    with log.open("ab") as out, subprocess.Popen(command, stdout=out, stderr=out) as process:
        try:
            eventually(lambda: process.poll() is not None or _answers(address), "the registry answers", seconds=20)
            assert process.poll() is None, log.read_text()
            yield RegistryServer(address=address, log=log)
        finally:
            process.terminate()


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"http://{address}/v2/", timeout=2):
            return True
    except urllib.error.HTTPError:
        return True  # it wants a password
    except OSError:
        return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
