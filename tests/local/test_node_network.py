"""The machine's side of the network, on a real kernel: a bridge and two pods in network namespaces of their own."""

import json
import os
import shutil
import subprocess
import sys

import pytest

from headrace.local import node_network

# Runs in a network namespace of its own, so that nothing of the machine's network is touched.
STORY = """
import json, subprocess, sys
table, router = json.load(sys.stdin)
def run(*command, **more): return subprocess.run(command, capture_output=True, text=True, **more)
def must(*command, **more):
    done = run(*command, **more)
    if done.returncode: print(json.dumps({"cannot": f"{command}: {done.stderr}"})); sys.exit()
must("ip", "link", "set", "lo", "up")
must("ip", "link", "add", "headrace0", "type", "bridge")
must("ip", "addr", "add", "10.213.0.1/24", "dev", "headrace0")
must("ip", "link", "set", "headrace0", "up")
must("sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward; echo 1 > /proc/sys/net/bridge/bridge-nf-call-iptables")
pods = {}
LISTEN = "import socket,time\\ns=socket.create_server(('', 80))\\nprint('up',flush=True)\\ntime.sleep(60)"
for number in (2, 3):
    pod = subprocess.Popen(["unshare", "--net", sys.executable, "-c", LISTEN], stdout=subprocess.PIPE)
    pod.stdout.readline()
    must("ip", "link", "add", f"veth{number}", "type", "veth", "peer", "name", "eth0", "netns", str(pod.pid))
    must("ip", "link", "set", f"veth{number}", "master", "headrace0", "up")
    inside = ["nsenter", "-t", str(pod.pid), "-n"]
    must(*inside, "ip", "addr", "add", f"10.213.0.{number}/24", "dev", "eth0")
    must(*inside, "ip", "link", "set", "eth0", "up")
    must(*inside, "ip", "route", "add", "default", "via", "10.213.0.1")
    pods[number] = (pod, inside)
node = subprocess.Popen([sys.executable, "-c", LISTEN], stdout=subprocess.PIPE)
node.stdout.readline()
TRY = '''
import socket, sys
try:
    socket.create_connection((sys.argv[1], 80), timeout=1.5)
    print("open")
except OSError:
    print("closed")
'''
def tried(inside, address): return run(*inside, sys.executable, "-c", TRY, address).stdout.strip()
def look(): return {
    "pod to pod": tried(pods[2][1], "10.213.0.3"),
    "pod to node": tried(pods[2][1], "10.213.0.1"),
    "node to pod": tried([], "10.213.0.3"),
}
found = {"without": look()}
must("nft", "-f", "-", input=table)
must("nft", "-f", "-", input=table)  # every start of the cluster does so
found["unknown"] = look()
must("nft", "-f", "-", input=router)
found["known"] = look()
print(json.dumps(found))
for pod in (node, *(pod for pod, _ in pods.values())): pod.kill()
"""
ROUTER = """
table ip filter {
    chain FORWARD { type filter hook forward priority 0; ip saddr 10.213.0.2 meta mark set meta mark | 0x20000 accept; }
    chain INPUT { type filter hook input priority 0; ip saddr 10.213.0.2 meta mark set meta mark | 0x20000 accept; }
}
"""
"""What kube-router does with what a pod may send (pkg/controllers/netpol/pod.go)."""


@pytest.mark.slow
def test_a_pod_that_the_enforcer_does_not_know_yet_begins_nothing() -> None:
    programs = [program for program in ("nft", "ip", "unshare", "nsenter") if shutil.which(program) is None]
    if os.geteuid() != 0 or programs:
        pytest.skip(f"needs root and {programs or 'nothing else'}")
    told = subprocess.run(
        ["unshare", "--net", sys.executable, "-c", STORY],
        input=json.dumps([node_network.UNKNOWN_PODS_TABLE, ROUTER]),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    found = json.loads(told.stdout or json.dumps({"cannot": told.stderr}))
    if "cannot" in found:
        pytest.skip(found["cannot"])

    everything = {"pod to pod": "open", "pod to node": "open", "node to pod": "open"}
    assert found["without"] == everything
    assert found["unknown"] == {"pod to pod": "closed", "pod to node": "closed", "node to pod": "open"}
    assert found["known"] == everything
