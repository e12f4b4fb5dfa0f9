"""IssuerDocuments: what an OpenID Connect issuer publishes of itself, read over HTTPS by its own authorities."""

import json
import reprlib
import ssl
import time
from typing import Any, Final
from urllib.parse import urlsplit

import urllib3
from requests.utils import DEFAULT_CA_BUNDLE_PATH

from headrace.contract.errors import TemporaryError
from headrace.contract.trusted_issuer import TrustedIssuer
from headrace.contract.trusted_issuers import address_faults
from headrace.kube.api_server import ApiServer, Object
from headrace.routing.ads.usable_keys import usable_keys

CONNECT_SECONDS: Final = 3.0
DOCUMENT_SECONDS: Final = 5.0
"""Of one document, from the first byte to the last; it has a few kilobytes."""
DOCUMENT_MOST_BYTES: Final = 1_048_576


class IssuerDocuments:
    """Asks one issuer. A redirection is not followed: it would lead where nobody has agreed to ask."""

    def __init__(self, issuer: TrustedIssuer) -> None:
        self._issuer = issuer
        context = ssl.create_default_context(
            cafile=None if issuer.ca_certificate is not None else DEFAULT_CA_BUNDLE_PATH, cadata=issuer.ca_certificate
        )
        self._pool = urllib3.PoolManager(ssl_context=context, retries=False)

    def read(self) -> tuple[str, Object]:
        """Issuer and key set, of keys that proxies can use. Raises TemporaryError."""
        address = self._issuer.jwks_uri
        if address is None:
            address = self._discovered()
        keys = usable_keys(self._document(address))
        if not keys:
            raise TemporaryError(f"{address} holds no key that tokens can be checked by")
        return self._issuer.issuer, {"keys": keys}

    def _discovered(self) -> str:
        address = self._issuer.discovery_address
        document = self._document(address)
        said = document if isinstance(document, dict) else {}
        if said.get("issuer") != self._issuer.issuer:
            about = reprlib.repr(said.get("issuer"))
            raise TemporaryError(f"{address} is about the issuer {about}, not {self._issuer.issuer!r}")
        found = said.get("jwks_uri")
        if not isinstance(found, str) or list(address_faults("jwks_uri", found)):
            raise TemporaryError(f"{address} names no https:// address of keys")
        return found

    def _document(self, address: str) -> Any:
        """One JSON document."""
        end = time.monotonic() + DOCUMENT_SECONDS
        timeout = urllib3.Timeout(connect=CONNECT_SECONDS, read=DOCUMENT_SECONDS)
        headers = {"accept": "application/json, application/jwk-set+json"}
        read = b""
        try:
            with self._pool.request(
                "GET", address, headers=headers, timeout=timeout, redirect=False, preload_content=False
            ) as response:
                while piece := response.read1(65_536, decode_content=True):
                    read += piece
                    if len(read) > DOCUMENT_MOST_BYTES or time.monotonic() > end:
                        response.close()
                        raise TemporaryError(f"{address} is too large or too slow")
                status = response.status
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise TemporaryError(f"{urlsplit(address).netloc} cannot be asked: {error}") from error
        if status != 200:
            raise TemporaryError(f"{address} answered with {status}")
        try:
            return json.loads(read)
        except (ValueError, RecursionError) as error:
            raise TemporaryError(f"{address} is no JSON: {error}") from error


def cluster_documents(server: ApiServer) -> tuple[str, Object]:
    """Issuer and key set of the cluster's own tokens, as the API server publishes them. Raises TemporaryError."""
    try:
        issuer = server.get("/.well-known/openid-configuration")["issuer"]
        jwks = server.get("/openid/v1/jwks")
    except (KeyError, TypeError, ValueError) as error:
        raise TemporaryError(f"the API server's documents cannot be read: {error}") from error
    if not jwks.get("keys"):
        raise TemporaryError("the issuer publishes no keys")
    return issuer, jwks
