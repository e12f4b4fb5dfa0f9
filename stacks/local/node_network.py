"""The machine's side of the cluster's network: one bridge, two kernel switches, one nft table, and their removal."""

import json
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from headrace.contract.errors import PermanentError
from headrace.stacks.local import layout

_SWITCHES: Final = ("net/ipv4/ip_forward", "net/bridge/bridge-nf-call-iptables", "net/ipv4/conf/all/route_localnet")
_TABLES_OF_PROXY: Final = (("ip", "kube-proxy"), ("ip6", "kube-proxy"))
_ROUTER_PREFIXES: Final = ("KUBE-", "CNI-")
"""Chains that kube-router and the kubelet add to tables that may be the machine's own."""
_TABLE: Final = "headrace"
UNKNOWN_PODS_WAIT: Final = f"""\
table ip {_TABLE} {{}}
flush table ip {_TABLE}
table ip {_TABLE} {{
    chain forward {{
        type filter hook forward priority 10; policy accept;
        iifname "{layout.BRIDGE}" ct state new meta mark & 0x20000 == 0 drop
    }}
    chain input {{
        type filter hook input priority 10; policy accept;
        iifname "{layout.BRIDGE}" ct state new meta mark & 0x20000 == 0 drop
    }}
}}
"""
"""kube-router hears of a pod when its address is in the API, after its containers have started; until it has written
the pod's rules everything is allowed. It marks what its rules let pass with 0x20000 (pkg/controllers/netpol/pod.go),
for pods without a policy too, so a connection that a pod opens without the mark comes from one that it does not know.
Priority 10 is after iptables' filter tables, which have 0. Dropped and not refused: the pod's kernel asks again."""


def set_up(memory: Path) -> None:
    """Creates the bridge and turns on forwarding; writes what was there before to the file `memory`.

    Raises PermanentError when the kernel lacks the bridge netfilter hook that NetworkPolicy needs.
    """
    hook = Path("/proc/sys/net/bridge/bridge-nf-call-iptables")
    if not hook.exists() and shutil.which("modprobe") is not None:
        subprocess.run(["modprobe", "br_netfilter"], check=False, capture_output=True)
    if not hook.exists():
        raise PermanentError(
            "kernel module br_netfilter is not available, must be for NetworkPolicy to hold between pods; "
            "load it or set HEADRACE_KUBECONFIG"
        )
    if not memory.exists():
        before = {
            "switches": {name: Path("/proc/sys", name).read_text().strip() for name in _SWITCHES},
            "tables": _tables(),
        }
        memory.write_text(json.dumps(before))
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
    hook.write_text("1")
    if not Path("/sys/class/net", layout.BRIDGE).exists():
        _ip("link", "add", layout.BRIDGE, "type", "bridge")
    prefix = layout.NODE_NETWORK.rpartition("/")[2]
    _ip("addr", "replace", f"{layout.NODE_ADDRESS}/{prefix}", "dev", layout.BRIDGE)
    _ip("link", "set", layout.BRIDGE, "up")
    made = subprocess.run(["nft", "-f", "-"], input=UNKNOWN_PODS_WAIT, capture_output=True, text=True, check=False)
    if made.returncode != 0:
        raise PermanentError(
            f"`nft -f -` failed: {made.stderr.strip()[:300]}; the embedded cluster needs nftables in the kernel, "
            "use such a kernel or set HEADRACE_KUBECONFIG"
        )


def tear_down(memory: Path) -> None:
    """Removes the bridge, our nft tables, chains and sets, and puts the kernel switches back."""
    if Path("/sys/class/net", layout.BRIDGE).exists():
        _ip("link", "delete", layout.BRIDGE)
    _nft("delete", "table", "ip", _TABLE)
    before = json.loads(memory.read_text()) if memory.exists() else {"switches": {}, "tables": []}
    kept = {tuple(table) for table in before["tables"]}
    for family, name in _tables():
        if (family, name) in _TABLES_OF_PROXY:
            _nft("delete", "table", family, name)
        elif memory.exists() and (family, name) not in kept and name in {"filter", "nat", "mangle"}:
            _nft("delete", "table", family, name)  # iptables-nft made it for us: nobody had it before
        elif name in {"filter", "nat", "mangle"}:
            _remove_our_chains(family, name)
    _remove_our_sets()
    for name, value in before["switches"].items():
        Path("/proc/sys", name).write_text(value)
    memory.unlink(missing_ok=True)


def _remove_our_chains(family: str, table: str) -> None:
    listing = _nft_json("list", "table", family, table)
    rules = [entry["rule"] for entry in listing if "rule" in entry]
    chains = [entry["chain"]["name"] for entry in listing if "chain" in entry]
    ours = [chain for chain in chains if chain.startswith(_ROUTER_PREFIXES)]
    for rule in rules:
        targets = [
            target["target"]
            for part in rule["expr"]
            for verb, target in part.items()
            if verb in {"jump", "goto"} and isinstance(target, dict)
        ]
        if rule["chain"] not in ours and any(target.startswith(_ROUTER_PREFIXES) for target in targets):
            _nft("delete", "rule", family, table, rule["chain"], "handle", str(rule["handle"]))
    for chain in ours:
        _nft("flush", "chain", family, table, chain)
    for chain in ours:
        _nft("delete", "chain", family, table, chain)


def _remove_our_sets() -> None:
    listed = subprocess.run(["ipset", "list", "-name"], capture_output=True, text=True, check=False)
    for name in listed.stdout.split():
        if name.startswith(("KUBE-", "kube-router-", "inet6:KUBE-", "inet6:kube-router-")):
            subprocess.run(["ipset", "destroy", name], check=False, capture_output=True)


def _tables() -> list[tuple[str, str]]:
    return [
        (entry["table"]["family"], entry["table"]["name"]) for entry in _nft_json("list", "tables") if "table" in entry
    ]


def _nft_json(*arguments: str) -> Sequence[dict[str, dict[str, Any]]]:
    done = subprocess.run(["nft", "--json", "--handle", *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        return []
    found: Sequence[dict[str, dict[str, Any]]] = json.loads(done.stdout)["nftables"]
    return found


def _nft(*arguments: str) -> None:
    subprocess.run(["nft", *arguments], check=False, capture_output=True)


def _ip(*arguments: str) -> None:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise PermanentError(
            f"`ip {' '.join(arguments)}` failed: {done.stderr.strip()}; the embedded cluster needs root"
        )
