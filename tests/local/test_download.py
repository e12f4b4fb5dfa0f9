"""What its publisher releases is taken where a host answers, is what it was released as, and else is built."""

import hashlib
import io
import json
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from patience import free_port

from headrace.contract.errors import PermanentError
from headrace.images.architecture import of_this_machine
from headrace.local.terminal_progress import Progress
from headrace.local.toolchain import builder, download
from headrace.local.toolchain.programs import Program, ReleasedFile

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="releases for Linux are downloaded, no others")

RELEASED = b"#!/bin/sh\necho released\n"
BUILT = "#!/bin/sh\necho built\n"
ARCHIVE = ReleasedFile(
    address="https://releases.example/hello/v1/hello-{arch}.tar.gz",
    checksums="https://releases.example/hello/v1/checksums.txt",
    executables=("hello", "hi"),
)
HELLO = Program(name="hello", version="v1", module="hello", packages=("./hello",), released=(ARCHIVE,))


class Handler(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Requests are not told."""


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of `releases.example` on a mirror of this machine, which is the one that is asked."""
    folder = tmp_path / "mirror" / "releases.example" / "hello" / "v1"
    folder.mkdir(parents=True)
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(tmp_path / "mirror"))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv(download.MIRROR_VARIABLE, f"http://127.0.0.1:{server.server_port}")
        yield folder
        server.shutdown()


@pytest.fixture(autouse=True)
def compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache and a module of its own, and a fake Go that writes an executable for each package that it is given."""
    (tmp_path / "modules" / "hello").mkdir(parents=True)
    monkeypatch.setattr(builder, "MODULES", tmp_path / "modules")
    monkeypatch.setenv("HEADRACE_CACHE", str(tmp_path / "cache"))
    fake_go = tmp_path / "go"
    fake_go.write_text(
        f"#!{sys.executable}\nimport pathlib, sys\n"
        "folder = pathlib.Path(sys.argv[sys.argv.index('-o') + 1])\n"
        "for package in sys.argv[sys.argv.index('-o') + 2:]:\n"
        "    made = folder / package.removeprefix('./')\n"
        f"    made.write_text({BUILT!r})\n"
        "    made.chmod(0o755)\n"
    )
    fake_go.chmod(0o755)
    monkeypatch.setattr(builder, "go_command", lambda: str(fake_go))


def released(folder: Path, *names: str, checksum: str = "") -> None:
    """Puts the archive and the file of checksums there."""
    archive = folder / f"hello-{of_this_machine()}.tar.gz"
    with tarfile.open(archive, "w:gz") as opened:
        for name in names:
            member = tarfile.TarInfo(f"hello-v1/{name}")
            member.size = len(RELEASED)
            opened.addfile(member, io.BytesIO(RELEASED))
    digest = checksum or hashlib.sha256(archive.read_bytes()).hexdigest()
    (folder / "checksums.txt").write_text(f"{'0' * 64}  another.tar.gz\n{digest}  {archive.name}\n")


def ensured(program: Program) -> tuple[Path, list[str]]:
    """The program's folder, and the lines of progress without their times."""
    told = io.StringIO()
    place = builder.ensure(program, Progress("test", steps=1, stream=told))
    return place, [
        line.partition(": done in")[0].partition(": failed after")[0] for line in told.getvalue().splitlines()
    ]


def said(executable: Path) -> str:
    return subprocess.run([executable], capture_output=True, text=True, check=True).stdout.strip()


def test_what_is_released_is_taken_and_nothing_is_built(mirror: Path) -> None:
    released(mirror, "hello", "README", "hi")

    place, told = ensured(HELLO)

    assert {said(place / name) for name in ("hello", "hi")} == {"released"}
    assert not (place / "README").exists()
    host = told[0].rpartition(" from ")[2].removesuffix(" …")
    step = f"test [1/1] download hello v1 from {host}"
    assert told == [f"{step} …", step]
    cost = json.loads((place / "build.json").read_text())
    assert cost["downloaded"] == [f"http://{host}/releases.example/hello/v1/hello-{of_this_machine()}.tar.gz"]


def test_an_archive_of_two_programs_is_downloaded_once(mirror: Path) -> None:
    released(mirror, "hello", "hi")
    ensured(HELLO)
    (mirror / f"hello-{of_this_machine()}.tar.gz").unlink()

    place, _ = ensured(replace(HELLO, name="other", released=(replace(ARCHIVE, executables=("hi",)),)))

    assert said(place / "hi") == "released"


def test_a_wrong_checksum_is_refused_and_nothing_stays(mirror: Path) -> None:
    released(mirror, "hello", "hi", checksum="1" * 64)

    with pytest.raises(PermanentError, match=r"has the SHA-256 .*, must have 1{64}; ask whoever runs ") as raised:
        ensured(HELLO)

    assert "HEADRACE_DOWNLOAD_MIRROR=off" in str(raised.value)
    assert not builder.location(HELLO).exists()
    assert list((builder.location(HELLO).parent / "released").iterdir()) == []


def test_a_checksum_in_the_repository_counts_more_than_the_one_beside_the_archive(mirror: Path) -> None:
    released(mirror, "hello", "hi")
    pinned = replace(ARCHIVE, sha256={of_this_machine(): "2" * 64})

    with pytest.raises(PermanentError, match="must have 2222"):
        ensured(replace(HELLO, released=(pinned,)))


def test_an_archive_that_lacks_an_executable_is_refused(mirror: Path) -> None:
    released(mirror, "hello")

    with pytest.raises(PermanentError, match="lacks hi, must hold all"):
        ensured(HELLO)


def test_what_nobody_releases_is_built_beside_it(mirror: Path) -> None:
    content = b"#!/bin/sh\necho released\n"
    (mirror / "hi").write_bytes(content)
    (mirror / "hi.sha256").write_text(hashlib.sha256(content).hexdigest())
    alone = "https://releases.example/hello/v1/hi"
    program = replace(
        HELLO, packages=("./all", "./store"), links=(("all", ("hi",)),), built_always=("./store",),
        released=(ReleasedFile(address=alone, checksums=f"{alone}.sha256"),),
    )  # fmt: skip

    place, told = ensured(program)

    assert (said(place / "hi"), said(place / "store")) == ("released", "built")
    assert not (place / "all").exists()
    assert [line.partition("] ")[2].partition(" from")[0] for line in told] == [
        *["download hello v1"] * 2, *["build hello v1 (store)"] * 2,
    ]  # fmt: skip


def without_answer(mirror: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(download.MIRROR_VARIABLE, f"http://127.0.0.1:{free_port()}")


def without_the_file(mirror: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (mirror / "checksums.txt").unlink()


def with_half_of_it(mirror: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The archive has gone since the checksums were published."""
    (mirror / f"hello-{of_this_machine()}.tar.gz").unlink()


@pytest.mark.parametrize("change", [without_answer, without_the_file, with_half_of_it])
def test_where_it_cannot_be_had_it_is_built(mirror: Path, monkeypatch: pytest.MonkeyPatch, change: object) -> None:
    released(mirror, "hello", "hi")
    change(mirror, monkeypatch)  # type: ignore[operator]

    place, told = ensured(HELLO)

    assert said(place / "hello") == "built"
    assert sum("so it is built" in line for line in told) == 1
    assert told[-1].endswith("build hello v1 from its Go module")


def test_a_host_that_is_silent_is_asked_once(mirror: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(download, "_answers", lambda address: bool(asked.append(address)))
    monkeypatch.setenv(download.MIRROR_VARIABLE, f"http://127.0.0.1:{free_port()}")

    for name in ("hello", "other", "third"):
        beside = replace(ARCHIVE, checksums=f"https://releases.example/{name}")
        assert said(ensured(replace(HELLO, name=name, released=(beside,)))[0] / "hello") == "built"

    assert len(asked) == 1


def test_off_asks_nobody(mirror: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    released(mirror, "hello", "hi")
    monkeypatch.setenv(download.MIRROR_VARIABLE, "off")

    place, told = ensured(HELLO)

    assert said(place / "hello") == "built"
    assert not any("download" in line or "so it is built" in line for line in told)


@pytest.mark.parametrize("address", ["http://mirror.example", "mirror.example", "ftp://mirror.example/x"])
def test_a_mirror_that_nobody_vouches_for_is_refused(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(download.MIRROR_VARIABLE, address)

    with pytest.raises(PermanentError, match=f"HEADRACE_DOWNLOAD_MIRROR = '{address}', must be an https:// address"):
        ensured(HELLO)


def test_where_a_program_comes_from_changes_no_key_of_the_cache() -> None:
    assert builder.key(HELLO) == builder.key(replace(HELLO, released=()))
