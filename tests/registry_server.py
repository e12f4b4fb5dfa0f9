"""A real image registry for tests: the CNCF distribution's server, as Debian packages it, on loopback."""

import os
import re
import shutil
import socket
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from patience import eventually

from headrace.local.paths import cache_directory

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
    command = [str(_program()), "serve", str(folder / "config.yml")]
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


def _program() -> Path:
    """The server: the machine's own, or one unpacked from Debian's package. Not installed: where there is an init
    system, the package starts a registry that nobody asked for."""
    found = shutil.which("docker-registry")
    if found is not None:
        return Path(found)
    kept = cache_directory() / "test-programs" / "docker-registry"
    if not kept.exists():
        if shutil.which("apt-get") is None or os.uname().machine != "x86_64":
            pytest.skip(f"no {PACKAGE} on PATH, and this is no Debian on x86-64 to take its package from")
        kept.parent.mkdir(parents=True, exist_ok=True)
        scratch = kept.with_name(f"unpack-{os.getpid()}")
        scratch.mkdir()
        try:
            got = subprocess.run(
                ["apt-get", "download", "-q", PACKAGE], cwd=scratch, capture_output=True, text=True, check=False
            )
            if got.returncode != 0:
                pytest.skip(f"the Debian package {PACKAGE} could not be had: {got.stderr.strip()[-200:]}")
            (package,) = scratch.glob("*.deb")
            subprocess.run(["dpkg-deb", "-x", str(package), str(scratch)], check=True)
            (scratch / "usr/bin/docker-registry").replace(kept)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    return kept
