"""The software bill of materials."""

import json
import tarfile

from headrace.runtimes.images.sbom import BILL, bill, bill_layer, debian_packages, python_packages
from headrace.runtimes.images.store import Store

STATUS = """\
Package: libc6
Status: install ok installed
Version: 2.36-9+deb12u10
Description: C library
 Version: this is text

Package: removed
Status: deinstall ok config-files
Version: 1
"""


def test_every_installed_package_is_named_once() -> None:
    packages = [*python_packages(["NumPy==2.4.6", "zope.interface==7.0"]), *debian_packages(STATUS)]

    document = bill([*packages, *packages])

    assert document["bomFormat"] == "CycloneDX"
    assert [component["purl"] for component in document["components"]] == [
        "pkg:deb/debian/libc6@2.36-9+deb12u10",
        "pkg:pypi/numpy@2.4.6",
        "pkg:pypi/zope-interface@7.0",
    ]


def test_the_same_packages_in_another_order_give_the_same_layer(store: Store) -> None:
    packages = python_packages(["a==1", "b==2"])

    first, created = bill_layer(store, packages)
    second, again = bill_layer(store, packages[::-1])

    assert (created, again) == (True, False)
    assert first == second
    with tarfile.open(store.path(first.digest)) as tar:
        file = tar.extractfile(BILL.lstrip("/"))
        assert file is not None
        assert json.load(file)["components"][0]["name"] == "a"
