"""The embedded cluster repairs itself when started again, and refuses what it cannot do before it does anything."""

import base64
import os
import secrets
import signal
import socket
from pathlib import Path

import pytest
import requests
from live_platform import Platform, eventually, quiet

from headrace.contract.errors import PermanentError
from headrace.local import cluster, cluster_layout
from headrace.local.paths import state_directory


@pytest.fixture(autouse=True)
def embedded(platform: Platform) -> None:
    """These tests are about the embedded cluster alone."""
    if not platform.cluster.embedded:
        pytest.skip("a cluster that the user named is not ours to break")


@pytest.mark.parametrize("program", ["etcd", "kube-apiserver", "kubelet", "kube-proxy", "containerd"])
def test_a_crash_of_any_part_is_repaired_by_the_next_start_and_no_request_fails_for_it(
    platform: Platform, program: str
) -> None:
    pid = int((cluster_layout.folders().processes / f"{program}.pid").read_text().split()[0])
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: program in cluster.status().stopped)
    assert platform.ask(platform.model.request).status == 200  # the data plane does not need it

    cluster.start(quiet())

    assert cluster.status().stopped == ()
    assert cluster.status().ready
    assert platform.ask(platform.model.request).status == 200


def test_starting_twice_starts_nothing(platform: Platform) -> None:
    before = sorted(path.read_text() for path in cluster_layout.folders().processes.glob("*.pid"))

    cluster.start(quiet())

    assert sorted(path.read_text() for path in cluster_layout.folders().processes.glob("*.pid")) == before


def test_a_secret_cannot_be_read_in_etcd_and_other_users_cannot_look_at_its_files(platform: Platform) -> None:
    value = secrets.token_hex(20)
    platform.kubectl("create", "secret", "generic", "told", f"--from-literal=password={value}")
    try:
        read = platform.kubectl("get", "secret", "told", "--output=jsonpath={.data.password}")
        kept = _in_etcd("/registry/secrets/default/told")
    finally:
        platform.kubectl("delete", "secret", "told")

    assert base64.b64decode(read).decode() == value
    assert kept.startswith(b"k8s:enc:secretbox:v1:first:")
    assert value.encode() not in kept
    assert cluster_layout.folders().encryption.stat().st_mode & 0o777 == 0o600
    assert state_directory().stat().st_mode & 0o777 == 0o700


def _in_etcd(key: str) -> bytes:
    """The value as etcd has it, over its JSON gateway and with the API server's own certificate."""
    pki = cluster_layout.folders().certificates
    answer = requests.post(
        f"https://127.0.0.1:{cluster_layout.ETCD_PORT}/v3/kv/range",
        json={"key": base64.b64encode(key.encode()).decode()},
        cert=(str(pki / "apiserver-etcd-client.crt"), str(pki / "apiserver-etcd-client.key")),
        verify=str(pki / "etcd" / "ca.crt"),
        timeout=20,
    )
    answer.raise_for_status()
    (found,) = answer.json()["kvs"]
    return base64.b64decode(found["value"])


def test_its_programs_stay_within_their_memory(platform: Platform) -> None:
    assert cluster.status().resident_bytes < 1.5 * 2**30


def test_another_checkouts_cluster_is_not_started_beside_this_one(
    platform: Platform, monkeypatch: pytest.MonkeyPatch, short_path: Path
) -> None:
    monkeypatch.setenv("HEADRACE_STATE", str(short_path))

    with pytest.raises(PermanentError, match=r"another embedded cluster runs .* run `make down` in that checkout"):
        cluster.start(quiet())


def test_removing_what_another_checkout_has_leaves_this_cluster_alone(
    platform: Platform, monkeypatch: pytest.MonkeyPatch, short_path: Path
) -> None:
    monkeypatch.setenv("HEADRACE_STATE", str(short_path))
    cluster.reset()
    monkeypatch.undo()

    assert cluster.status().stopped == ()
    assert platform.ask(platform.model.request).status == 200


def test_a_port_in_use_is_named_before_anything_starts(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        monkeypatch.setattr(cluster_layout, "PORTS", {"etcd": taken.getsockname()[1]})

        with pytest.raises(PermanentError, match=rf"ports in use: {taken.getsockname()[1]} \(etcd\), must be free"):
            cluster.check_ports()


def test_a_user_who_is_not_root_is_told_what_to_do(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)

    with pytest.raises(PermanentError, match=r"user id = 1000, must be 0 .* run as root or set HEADRACE_KUBECONFIG"):
        cluster.start(quiet())
