"""Where the console is, and by what a browser shows who it is: words of the PopProxy and the console.

A browser sends no Authorization header by itself, so the console alone takes the token from a cookie too.
"""

from typing import Final

ROOT: Final = "/console"
"""Path at the platform's host; everything of the console is below it."""
LOGIN_PATH: Final = f"{ROOT}/login"
LOGOUT_PATH: Final = f"{ROOT}/logout"
STATIC_PATH: Final = f"{ROOT}/static"
"""Scripts and styles, the same for everybody."""
COOKIE: Final = "__Secure-headrace-token"
"""Holds the caller's token. Browsers take a cookie of this prefix over HTTPS alone."""
FORM_BYTES: Final = 1024 * 1024
"""Largest body that the console takes: a token, or a request that is tried."""


def endpoint_path(name: str) -> str:
    """The page of an endpoint."""
    return f"{ROOT}/endpoints/{name}"


def history_path(name: str) -> str:
    """What that page plots, as JSON: load of the last minutes, and the autoscaler's decisions."""
    return f"{endpoint_path(name)}/history"
