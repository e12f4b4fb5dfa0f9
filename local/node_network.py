"""The node's side of the cluster's network: one bridge, two kernel settings, one nft table, and their removal."""

import json
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from headrace.contract.errors import PermanentError
from headrace.local import cluster_layout

_KERNEL_SETTINGS: Final = (
    "net/ipv4/ip_forward",
    "net/bridge/bridge-nf-call-iptables",
    "net/ipv4/conf/all/route_localnet",
)
_KUBE_PROXY_TABLES: Final = (("ip", "kube-proxy"), ("ip6", "kube-proxy"))
_ROUTER_PREFIXES: Final = ("KUBE-", "CNI-")
"""Chains that kube-router and the kubelet add to tables that may be the machine's own."""
_TABLE: Final = "headrace"
UNKNOWN_PODS_TABLE: Final = f"""\
table ip {_TABLE} {{}}
flush table ip {_TABLE}
table ip {_TABLE} {{
    chain forward {{
        type filter hook forward priority 10; policy accept;
        iifname "{cluster_layout.BRIDGE}" ct state new meta mark & 0x20000 == 0 drop
    }}
    chain input {{
        type filter hook input priority 10; policy accept;
        iifname "{cluster_layout.BRIDGE}" ct state new meta mark & 0x20000 == 0 drop
    }}
}}
"""
"""nft table that drops new connections of pods for which kube-router has no rules yet. kube-router learns of a pod when
the pod's address is in the API, after its containers have started; until then nothing would restrict the pod. It marks
the packets that its rules accept with 0x20000 (pkg/controllers/netpol/pod.go), those of pods without a NetworkPolicy
too, so that a new connection without the mark comes from an unknown pod. Priority 10 is after iptables' filter tables,
which have 0. Packets are dropped, not rejected: the pod's kernel retransmits them."""


def set_up(saved: Path) -> None:
    """Creates the bridge and turns on forwarding; saves the settings and tables from before in the file `saved`.

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
    if not saved.exists():
        switches = {name: Path("/proc/sys", name).read_text().strip() for name in _KERNEL_SETTINGS}
        saved.write_text(json.dumps({"switches": switches, "tables": _tables()}))
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
    hook.write_text("1")
    if not Path("/sys/class/net", cluster_layout.BRIDGE).exists():
        _ip("link", "add", cluster_layout.BRIDGE, "type", "bridge")
    prefix = cluster_layout.NODE_NETWORK.rpartition("/")[2]
    _ip("addr", "replace", f"{cluster_layout.NODE_ADDRESS}/{prefix}", "dev", cluster_layout.BRIDGE)
    _ip("link", "set", cluster_layout.BRIDGE, "up")
    made = subprocess.run(["nft", "-f", "-"], input=UNKNOWN_PODS_TABLE, capture_output=True, text=True, check=False)
    if made.returncode != 0:
        raise PermanentError(
            f"`nft -f -` failed: {made.stderr.strip()[:300]}; the embedded cluster needs nftables in the kernel, "
            "use such a kernel or set HEADRACE_KUBECONFIG"
        )


def tear_down(saved: Path) -> None:
    """Removes the bridge, our nft tables, chains and sets, and restores the kernel settings in the file `saved`."""
    if Path("/sys/class/net", cluster_layout.BRIDGE).exists():
        _ip("link", "delete", cluster_layout.BRIDGE)
    _nft("delete", "table", "ip", _TABLE)
    before = json.loads(saved.read_text()) if saved.exists() else {"switches": {}, "tables": []}
    kept = {tuple(table) for table in before["tables"]}
    for family, name in _tables():
        if (family, name) in _KUBE_PROXY_TABLES:
            _nft("delete", "table", family, name)
        elif saved.exists() and (family, name) not in kept and name in {"filter", "nat", "mangle"}:
            _nft("delete", "table", family, name)  # iptables-nft made it for us: nobody had it before
        elif name in {"filter", "nat", "mangle"}:
            _remove_our_chains(family, name)
    _remove_our_sets()
    for name, value in before["switches"].items():
        Path("/proc/sys", name).write_text(value)
    saved.unlink(missing_ok=True)


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
