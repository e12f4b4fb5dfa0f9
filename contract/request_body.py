"""Bounds of requests' bodies, from which the proxies' configuration and their pods' memory both follow."""

from typing import Final

MEBIBYTE: Final = 1024 * 1024

LARGEST_BYTES: Final = 16 * MEBIBYTE
"""Largest request body, as on the reference platform."""
LARGE_BYTES: Final = 999_999
"""Bodies above this are counted, as are those that do not announce their length, but for gRPC. Nines, so that one short
pattern tells them apart."""
LARGE_AT_ONCE: Final = 16
"""Most large bodies that one proxy takes at once, each until its answer: 256 MiB when all are of the largest size."""

PROXY_REST_MIB: Final = 512
"""A proxy's memory beside large bodies: 70 MiB and 131 kB an endpoint (1,000: 201 MiB), small bodies, and a third of
the whole until which the largest streams are reset."""
PROXY_MIB: Final = LARGE_AT_ONCE * LARGEST_BYTES // MEBIBYTE + PROXY_REST_MIB
"""Memory of a proxy's pod."""
