"""Listening sockets: opened before the front starts, and closed without resetting a caller."""

import contextlib
import ctypes
import socket
import struct
import sys
from ipaddress import ip_address
from typing import Any, Final

BACKLOG: Final = 2048
"""Connections that the kernel accepts while the front is busy; one that finds no place tries again after a second."""
HANDSHAKE_SECONDS: Final = 0.1
"""How long a handshake that has begun may take to end: many round trips within a cluster."""

_SO_ATTACH_FILTER = 26  # asm-generic/socket.h; Python's socket module does not name it
_TCP_FLAGS = 13  # the byte of a TCP header that holds SYN and ACK (RFC 9293, 3.1)
_SYN, _ACK = 0x02, 0x10
_FIRST_SYN_DROPPED = (  # classic BPF, linux/filter.h: operation, jump if true, jump if false, operand
    (0x30, 0, 0, _TCP_FLAGS),  # load the byte at 13 of the header
    (0x54, 0, 0, _SYN | _ACK),  # keep SYN and ACK of it
    (0x15, 0, 1, _SYN),  # SYN without ACK?
    (0x06, 0, 0, 0),  # then drop the segment
    (0x06, 0, 0, 0xFFFFFFFF),  # else take all of it
)


def open_listener(host: str, port: int) -> socket.socket:
    """A listening socket. OSError when something else listens there."""
    made = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.bind((host, port))
    made.listen(BACKLOG)
    made.setblocking(False)
    return made


def is_loopback(host: str) -> bool:
    """Whether a listener at that address, or name, is for its own machine alone."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def is_own(address: tuple[Any, ...]) -> bool:
    """Whether a socket address is one of this network namespace, of which alone a process can make it its own.

    The kernel lets a socket have the address then, and never another's: no process of a pod can call from elsewhere.
    """
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as tried:
        try:
            tried.bind((address[0], 0, *address[2:]))
        except OSError:
            return False
    return True


def stop_handshakes(listening: socket.socket) -> None:
    """Lets no new connection begin, while those that have begun can still be accepted.

    A listener that closes resets every connection that the kernel has set up and nobody has accepted, and one may
    arrive between the last accept and the close. The kernel therefore drops first segments from here on; their
    sender sends another within a second, and is then refused. Where the kernel takes no filter, the gap stays.
    """
    if sys.platform != "linux":
        return
    program = b"".join(struct.pack("=HBBI", *instruction) for instruction in _FIRST_SYN_DROPPED)
    held = ctypes.create_string_buffer(program)
    with contextlib.suppress(OSError):
        listening.setsockopt(
            socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("@HP", len(_FIRST_SYN_DROPPED), ctypes.addressof(held))
        )
