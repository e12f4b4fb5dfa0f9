"""Session: who asks for a page, as the PopProxy verified it; and how a browser is given its cookie."""

from urllib.parse import parse_qs

from starlette.requests import HTTPConnection, Request
from starlette.responses import Response

from headrace.contract import console
from headrace.contract.caller import Caller

_BEARER = "bearer "


def caller(request: HTTPConnection) -> Caller:
    """As the PopProxy verified it; without a subject where it asked for no token."""
    return Caller.of(request.headers.get)


def token(request: HTTPConnection) -> str:
    """The caller's token, which a browser sends as a cookie; empty where there is none."""
    return request.cookies.get(console.COOKIE, "")


def is_own_form(request: HTTPConnection) -> bool:
    """Whether a page of ours sent it. Browsers say so themselves, and scripts of other sites cannot."""
    return request.headers.get("sec-fetch-site", "") == "same-origin"


async def form(request: Request) -> dict[str, str]:
    """The fields of a form; of several with one name the first."""
    fields = parse_qs((await request.body()).decode(errors="replace"), keep_blank_values=True, max_num_fields=16)
    return {name: values[0] for name, values in fields.items()}


def remember(response: Response, text: str) -> None:
    """Gives the browser its cookie: for the console alone, unread by scripts, and sent by no other site. It ends with
    the browser's session; the token's own end is the PopProxy's affair."""
    response.set_cookie(console.COOKIE, text, path=console.ROOT, secure=True, httponly=True, samesite="strict")


def forget(response: Response) -> None:
    """Takes it away."""
    response.delete_cookie(console.COOKIE, path=console.ROOT, secure=True, httponly=True, samesite="strict")
