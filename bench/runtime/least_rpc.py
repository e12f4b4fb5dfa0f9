"""The least server of gRPC that Python's asyncio allows: `python -m bench.runtime.least_rpc PORT`.

It reads no message and answers every call with the same bytes, on the event loop that the front uses. What a pod
answers over gRPC can at most be as much.
"""

# mypy: disable-error-code="import-untyped"
# grpcio carries no types.

import sys

import grpc.aio
import uvloop

from headrace.contract import names
from headrace.runtimes.protocols import messages


async def serve(port: int) -> None:
    """Serves until it is ended."""
    answer = messages.made("ModelInferResponse", model_name="model")
    answer.outputs.add(name="predictions", datatype="INT64", shape=[1]).contents.int64_contents.append(1)
    data = answer.SerializeToString()

    async def infer(request: bytes, context: object) -> bytes:
        del request, context
        return data

    server = grpc.aio.server(options=(("grpc.so_reuseport", 0),))
    handlers = {"ModelInfer": grpc.unary_unary_rpc_method_handler(infer)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(names.GRPC_SERVICE, handlers),))
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    await server.wait_for_termination()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
