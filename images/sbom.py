"""The software bill of materials in every image: CycloneDX 1.5, at BILL, for scanners and for people.

It is made from the locks and from the base's package database, so it says what was installed and not what was wished
for. It lies in a layer below the model and is the same for all versions with the same environment.
"""

import json
import re
from collections.abc import Iterable, Sequence
from typing import Any, Final
from urllib.parse import quote

from headrace.contract import names
from headrace.images.store import Blob, Store, key_of
from headrace.images.tarball import Entry, write_layer

BILL: Final = f"{names.FRONT_HOME}/sbom.cdx.json"
_RECIPE: Final = 1

Package = tuple[str, str, str]
"""Package URL type (`pypi`, `deb`, …), name, version."""


def python_packages(pins: Iterable[str]) -> list[Package]:
    """From `name==version` lines."""
    return [("pypi", re.sub(r"[-_.]+", "-", name).lower(), version) for name, version in (p.split("==") for p in pins)]


def debian_packages(status: str) -> list[Package]:
    """From the text of /var/lib/dpkg/status."""
    found = []
    for paragraph in status.split("\n\n"):
        fields = dict(re.findall(r"^(Package|Version|Status): (.*)$", paragraph, flags=re.MULTILINE))
        if fields.get("Status", "").endswith(" installed"):
            found.append(("deb/debian", fields["Package"], fields["Version"]))
    return found


def _url(kind: str, name: str, version: str) -> str:
    """The package's URL (purl) in its canonical form, by which scanners find what is known of it."""
    safe = "/" if kind == "golang" else ""  # a module's path is its namespace
    return f"pkg:{kind}/{quote(name, safe=safe)}@{quote(version, safe=':')}"


def bill(packages: Sequence[Package]) -> dict[str, Any]:
    """The document; without a date or a serial number, so that the same packages give the same bytes."""
    components = [
        {"type": "library", "bom-ref": url, "name": name.rpartition("/")[2], "version": version, "purl": url}
        for url, name, version in sorted((_url(*package), *package[1:]) for package in set(packages))
    ]
    return {"bomFormat": "CycloneDX", "specVersion": "1.5", "version": 1, "components": components}


def bill_layer(store: Store, packages: Sequence[Package]) -> tuple[Blob, bool]:
    """The document as a layer."""
    text = json.dumps(bill(packages), indent=1, sort_keys=True)
    entry = Entry(path=BILL.lstrip("/"), data=text.encode())
    return store.layer(key_of("sbom", _RECIPE, text), lambda scratch: write_layer(store, [entry]))
