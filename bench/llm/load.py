"""`python -m bench.llm.load < job.json`: completions as streams, some at once, each token's arrival noted.

A process of its own, so that what it costs is not the server's. Prompts are random words: no prefix is cached.
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

_PIECE = b"data: {"
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


async def ask(job: dict[str, Any], words: random.Random) -> Stream:
    """One completion, read as it comes."""
    prompt = " ".join(f"w{words.randrange(10, 100_000)}" for _ in range(job["prompt_tokens"]))
    body = json.dumps(
        {
            "model": job["model"],
            "prompt": prompt,
            "max_tokens": job["tokens"],
            "ignore_eos": True,
            "temperature": 0,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
    ).encode()
    began = time.perf_counter()
    reader, writer = await asyncio.open_connection("127.0.0.1", job["port"], limit=1 << 20)
    head = "POST /v1/completions HTTP/1.1\r\nHost: local\r\nContent-Type: application/json\r\nConnection: close\r\n"
    writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
    seen, first = bytearray(), 0.0
    while piece := await reader.read(1 << 16):
        seen += piece
        if not first and _PIECE in seen:
            first = time.perf_counter() - began
    writer.close()
    return Stream(
        first_token_seconds=first,
        seconds=time.perf_counter() - began,
        tokens=int(counted[-1]) if (counted := _TOKENS.findall(seen)) else 0,
        whole=seen.startswith(b"HTTP/1.1 200") and b"data: [DONE]" in seen,
    )


async def run(job: dict[str, Any]) -> dict[str, Any]:
    """Asks `requests` times, `connections` at once, closed loop."""
    words = random.Random(job["seed"])
    left = iter(range(job["requests"]))
    streams: list[Stream] = []

    async def caller() -> None:
        for _ in left:
            streams.append(await ask(job, words))

    began = time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(job["connections"])))
    seconds = time.perf_counter() - began
    first = sorted(stream.first_token_seconds for stream in streams)
    return {
        "tokens_per_second": sum(stream.tokens for stream in streams) / seconds,
        "first_token_p50_ms": 1e3 * statistics.median(first),
        "first_token_p99_ms": 1e3 * first[min(len(first) - 1, int(0.99 * len(first)))],
        "answer_p50_ms": 1e3 * statistics.median(stream.seconds for stream in streams),
        "failed": sum(not stream.whole or stream.tokens < job["tokens"] for stream in streams),
    }


if __name__ == "__main__":
    print(json.dumps(asyncio.run(run(json.load(sys.stdin)))))
