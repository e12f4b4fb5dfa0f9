"""Lua: filters that are scripts of ours, and texts inside of them."""

from typing import Final

from headrace.routing.snapshot.resources import Body, extension

LUA: Final = "envoy.extensions.filters.http.lua.v3.Lua"


def script_filter(name: str, source: str) -> Body:
    """An HTTP filter that runs a script."""
    return extension(name, LUA, {"default_source_code": {"inline_string": source}})


def quoted(text: str) -> str:
    """A text of Lua: every byte by its number, so that none can end it."""
    return '"' + "".join(f"\\{byte:03d}" for byte in text.encode()) + '"'
