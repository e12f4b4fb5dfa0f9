"""The plugin: prints its port, as Pulumi's engine wants it, and serves until the engine ends it."""

import sys
from concurrent.futures import ThreadPoolExecutor

import grpc
from pulumi.runtime.proto import provider_pb2_grpc

from stand_in_aws.clients import address
from stand_in_aws.provider import Provider


def main() -> None:
    """Serves Pulumi's provider protocol on a port of the loopback."""
    address()
    server = grpc.server(
        ThreadPoolExecutor(16),
        options=[("grpc.max_receive_message_length", 400 << 20), ("grpc.max_send_message_length", 400 << 20)],
    )
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(Provider(), server)  # type: ignore[no-untyped-call]
    sys.stdout.write(f"{server.add_insecure_port('127.0.0.1:0')}\n")
    sys.stdout.flush()
    server.start()
    server.wait_for_termination()


if __name__ == "__main__":
    main()
