"""A server that only refuses: the least that an answer costs any server in Python. `python refuser.py PORT`.

It reads what came and writes the same bytes: nothing is recognised, parsed, counted or predicted.
"""

import select
import socket
import sys

_BODY = b'{"error_code": "RESOURCE_EXHAUSTED", "message": "The model is at its limit."}'
_REFUSAL = b"HTTP/1.1 429 Too Many Requests\r\nContent-Length: %d\r\nRetry-After: 1\r\n\r\n%s" % (len(_BODY), _BODY)


def main(port: int) -> None:
    """Serves until it is killed."""
    connections: dict[int, socket.socket] = {}
    epoll = select.epoll()
    with socket.create_server(("127.0.0.1", port), backlog=4096) as listener:
        listener.setblocking(False)
        epoll.register(listener, select.EPOLLIN)
        while True:
            for descriptor, _ in epoll.poll():
                if descriptor == listener.fileno():
                    connection, _ = listener.accept()
                    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    connections[connection.fileno()] = connection
                    epoll.register(connection, select.EPOLLIN)
                elif not refused(connections[descriptor]):
                    connections.pop(descriptor).close()


def refused(connection: socket.socket) -> bool:
    """Whether there was something to refuse; its caller is gone otherwise."""
    try:
        return bool(connection.recv(65536)) and connection.send(_REFUSAL) > 0
    except OSError:
        return False


if __name__ == "__main__":
    main(int(sys.argv[1]))
