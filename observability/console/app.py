"""The ASGI application of the console."""

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from headrace.contract import console
from headrace.contract.errors import TemporaryError
from headrace.observability.console.pages import STATIC, Pages, Refusal, routed
from headrace.observability.console.response_headers import ResponseHeaders


def application(pages: Pages) -> Starlette:
    """Pages below console.ROOT, and the files that they use."""

    def root(_: Request) -> Response:
        return RedirectResponse(f"{console.ROOT}/", 308)

    return Starlette(
        routes=[
            Route(console.ROOT, root),
            *(Route(path, handler, methods=[method]) for method, path, handler in routed(pages)),
            Mount(console.STATIC_PATH, StaticFiles(directory=STATIC)),
        ],
        middleware=[Middleware(ResponseHeaders)],
        exception_handlers={Refusal: pages.refused, TemporaryError: pages.refused},
    )
