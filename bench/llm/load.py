"""`python -m bench.llm.load < job.json`: completions as streams, some at once, each token's arrival noted.

A process of its own, so that what it costs is not the server's. Prompts are random words: no prefix is cached. Callers
keep their connections, as proxies and OpenAI's client do.
"""

import asyncio
import json
import random
import re
import statistics
import sys
import time
from dataclasses import dataclass
from typing import Any

from bench.load.ledger import percentile

_PIECE = b"data: {"
_END = b"\r\n0\r\n\r\n"
_TOKENS = re.compile(rb'"completion_tokens": ?(\d+)')
"""A piece holds more than one token when the engine writes them faster than it sends them, so its own count is read."""


@dataclass(frozen=True, kw_only=True)
class Stream:
    """One answered request."""

    first_token_seconds: float
    seconds: float
    tokens: int
    whole: bool
    """Whether it ended as a stream should: `data: [DONE]`."""


class Caller:
    """One that asks again on its connection."""

    def __init__(self, job: dict[str, Any], port: int, words: random.Random) -> None:
        self._job, self._port, self._words = job, port, words
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self) -> Stream:
        """One completion, read as it comes."""
        message = self._message()
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port, limit=1 << 20)
        reader, writer = self._streams
        began = time.perf_counter()
        writer.write(message)
        seen, first = bytearray(), 0.0
        while not seen.endswith(_END) and (piece := await reader.read(1 << 16)):
            seen += piece
            if not first and _PIECE in seen:
                first = time.perf_counter() - began
        seconds = time.perf_counter() - began
        if not seen.endswith(_END) or b"\r\nConnection: close\r\n" in seen:
            writer.close()
            self._streams = None
        return Stream(
            first_token_seconds=first,
            seconds=seconds,
            tokens=int(counted[-1]) if (counted := _TOKENS.findall(seen)) else 0,
            whole=seen.startswith(b"HTTP/1.1 200") and b"data: [DONE]" in seen,
        )

    def _message(self) -> bytes:
        job = self._job
        document = {
            "model": job["model"],
            "prompt": " ".join(f"w{self._words.randrange(10, 100_000)}" for _ in range(job["prompt_tokens"])),
            "max_tokens": job["tokens"],
            "ignore_eos": True,
            "temperature": 0,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        body = json.dumps(document).encode()
        head = "POST /v1/completions HTTP/1.1\r\nHost: local\r\nContent-Type: application/json\r\n"
        return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


async def run(job: dict[str, Any]) -> list[dict[str, Any]]:
    """Asks each port `requests` times, `connections` at once, closed loop; what each answered, in the ports' order.

    Several ports are asked in turns, request by request: a moment at which the machine is slow is all of theirs.
    """
    words = random.Random(job["seed"])
    left = iter(range(job["requests"]))
    streams: list[list[Stream]] = [[] for _ in job["ports"]]

    async def call() -> None:
        callers = [Caller(job, port, words) for port in job["ports"]]
        for _ in left:
            for caller, answered in zip(callers, streams, strict=True):
                answered.append(await caller.ask())

    began = time.perf_counter()
    await asyncio.gather(*(call() for _ in range(job["connections"])))
    seconds = time.perf_counter() - began
    return [_summary(job, answered, seconds) for answered in streams]


def _summary(job: dict[str, Any], streams: list[Stream], seconds: float) -> dict[str, Any]:
    first = sorted(stream.first_token_seconds for stream in streams)
    return {
        "tokens_per_second": sum(stream.tokens for stream in streams) / seconds,
        "first_token_p50_ms": 1e3 * statistics.median(first),
        "first_token_p99_ms": 1e3 * percentile(first, 0.99),
        "answer_p50_ms": 1e3 * statistics.median(stream.seconds for stream in streams),
        "failed": sum(not stream.whole or stream.tokens < job["tokens"] for stream in streams),
    }


if __name__ == "__main__":
    print(json.dumps(asyncio.run(run(json.load(sys.stdin)))))
