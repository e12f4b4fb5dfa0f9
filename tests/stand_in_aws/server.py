"""AWS on a port of the loopback: moto's server, and in front of it the calls that it lacks.

`python -m stand_in_aws.server [QUOTA=VALUE …]` prints its address and serves until it is ended.
"""

import os
import sys
import threading

os.environ["MOTO_IAM_LOAD_MANAGED_POLICIES"] = "true"  # AWS' own policies exist; moto reads it when it is imported

from moto.server import DomainDispatcherApplication, create_backend_app  # type: ignore[import-untyped]
from werkzeug.serving import WSGIRequestHandler, make_server

from stand_in_aws.gaps import Gaps
from stand_in_aws.signing_keys import SigningKeys


class _Quiet(WSGIRequestHandler):
    def log(self, *_: object, **__: object) -> None:
        """Requests are not told."""


def main(arguments: list[str]) -> None:
    """Serves until standard input is closed, so that no server outlives who started it."""
    quotas = {code: float(value) for code, _, value in (argument.partition("=") for argument in arguments)}
    app = Gaps(SigningKeys(DomainDispatcherApplication(create_backend_app)), quotas=quotas)
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=_Quiet)
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdin.read()
    server.shutdown()


if __name__ == "__main__":
    main(sys.argv[1:])
