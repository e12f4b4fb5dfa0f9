"""The token issuer's keys, on an API server that fails and comes back."""

from typing import Any

from patience import eventually

from headrace.routing.ads.issuer_keys import IssuerKeys


def test_issuer_keys_are_kept_when_they_cannot_be_read_any_more(api: Any) -> None:
    api.documents["/.well-known/openid-configuration"] = {"issuer": "https://issuer.test"}
    api.documents["/openid/v1/jwks"] = {"keys": [{"kid": "one"}]}
    keys = IssuerKeys(api.client(), lambda: None, period_seconds=0.02)
    keys.start()
    eventually(lambda: keys.found is not None, "keys read")
    api.down = True
    eventually(lambda: api.refused > 1, "tried again in vain")
    assert keys.found == ("https://issuer.test", {"keys": [{"kid": "one"}]})
    api.down = False
    api.documents["/openid/v1/jwks"] = {"keys": []}
    assert keys.found == ("https://issuer.test", {"keys": [{"kid": "one"}]})
    api.documents["/openid/v1/jwks"] = {"keys": [{"kid": "two"}]}
    eventually(lambda: keys.found == ("https://issuer.test", {"keys": [{"kid": "two"}]}), "rotated keys read")
    keys.stop()
