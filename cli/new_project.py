"""NewProject: a Pulumi project with a platform and one endpoint, as `headrace init` writes it. Pure but for the folder.

Each program is written out whole: people read it, change it and own it from then on.
"""

import json
import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from string import Template
from typing import Final

from headrace.contract.errors import InputError, PermanentError

STACK: Final = "dev"
"""The stack whose settings are written."""
_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,100}")
"""Names of projects that Pulumi takes (its own words: alphanumerics, hyphens, underscores and periods)."""


class Place(StrEnum):
    """Where the cluster comes from."""

    HERE = "here"
    """The one that kubectl uses now."""
    KUBECONFIG = "kubeconfig"
    """The one that a kubeconfig names."""
    EKS = "eks"
    """Amazon's, made by the program."""


@dataclass(frozen=True, kw_only=True)
class NewProject:
    """What is written, where. Paths may be relative to the folder in which the command runs."""

    folder: Path
    name: str
    place: Place
    kubeconfig: str
    """Path, for Place.KUBECONFIG alone."""
    version: str
    """Of Headrace, which the project pins."""

    def files(self) -> dict[str, str]:
        """Texts by name."""
        known = {"name": self.name, "quoted_name": json.dumps(self.name), "kubeconfig": json.dumps(self.kubeconfig)}
        extras = "aws,cli,deploy" if self.place is Place.EKS else "cli,deploy"
        return {
            "Pulumi.yaml": _PROJECT.substitute(known),
            "__main__.py": _PROGRAMS[self.place],
            f"Pulumi.{STACK}.yaml": _SETTINGS[self.place].substitute(known) + _COMMON_SETTINGS.substitute(known),
            "requirements.txt": f"headrace[{extras}]=={self.version}\n",
            ".gitignore": _IGNORED,
        }

    def faults(self) -> list[str]:
        """Every rule that it breaks, in a sentence each; the folder is looked at."""
        found = []
        if not _NAME.fullmatch(self.name):
            found.append(
                f"--name = {self.name!r}, must be 1 to 100 letters, digits, hyphens, underscores and periods; give one"
            )
        if self.place is Place.KUBECONFIG and not Path(self.kubeconfig).is_file():
            found.append(f"--cluster = {self.kubeconfig!r}, must be here, eks or the path of a kubeconfig that exists")
        if self.folder.exists() and not self.folder.is_dir():
            found.append(f"DIR = {str(self.folder)!r}, must be a folder; name another")
        taken = [name for name in self.files() if (self.folder / name).exists()]
        if taken:
            found.append(f"DIR = {str(self.folder)!r} holds {', '.join(taken)}, must hold none of them; name another")
        return found

    def write(self) -> None:
        """Writes the files, all or, where a rule is broken, none. Raises InputError, PermanentError."""
        if faults := self.faults():
            raise InputError("headrace init", faults)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            for name, text in self.files().items():
                with (self.folder / name).open("x", encoding="utf-8") as file:
                    file.write(text)
        except OSError as error:
            raise PermanentError(f"DIR = {str(self.folder)!r} cannot be written ({error}); name another") from error


_PROJECT: Final = Template("""\
name: $quoted_name
description: Models that Headrace serves.
runtime: python
""")

_IGNORED: Final = """\
.venv/
__pycache__/
ca.pem
keys/
"""

_HERE: Final = '''\
"""A model on the cluster that kubectl uses now. `headrace up` makes it so."""

import pulumi

from headrace.components import ModelEndpoint, ServingPlatform

config = pulumi.Config()  # of the stack: Pulumi.dev.yaml

# Once a cluster: proxies, control plane, autoscaler. Images are pushed to your registry, and nodes pull them from it.
delivery = {"kind": "registry", "repository": config.require("registry")}
platform = ServingPlatform("platform", {"image_delivery": delivery, "host": config.require("host")})

# Once a model. How many pods there are, and how many requests each takes at once, follows from the load.
fraud = ModelEndpoint("fraud", {"platform": platform.ref, "model_uri": config.require("model_uri")})

pulumi.export("url", fraud.url)
pulumi.export("address", platform.address)  # where the name `host` must lead
pulumi.export("ca", platform.ca_certificate)  # the authority that callers trust
'''

_KUBECONFIG: Final = '''\
"""A model on the cluster of a kubeconfig. `headrace up` makes it so."""

import pulumi
import pulumi_kubernetes

from headrace.components import ModelEndpoint, ServingCluster, ServingPlatform

config = pulumi.Config()  # of the stack: Pulumi.dev.yaml

cluster = ServingCluster("cluster", {"kubeconfig": config.require("kubeconfig")})
kubernetes = pulumi_kubernetes.Provider("kubernetes", kubeconfig=cluster.kubeconfig)
there = pulumi.ResourceOptions(provider=kubernetes)

# Once a cluster: proxies, control plane, autoscaler. Images are pushed to your registry, and nodes pull them from it.
delivery = {"kind": "registry", "repository": config.require("registry")}
platform = ServingPlatform("platform", {"image_delivery": delivery, "host": config.require("host")}, there)

# Once a model. How many pods there are, and how many requests each takes at once, follows from the load.
fraud = ModelEndpoint("fraud", {"platform": platform.ref, "model_uri": config.require("model_uri")}, there)

pulumi.export("url", fraud.url)
pulumi.export("address", platform.address)  # where the name `host` must lead
pulumi.export("ca", platform.ca_certificate)  # the authority that callers trust
'''

_EKS: Final = '''\
"""A cluster of Amazon EKS with a model on it. `headrace up` makes it so."""

import pulumi
import pulumi_kubernetes

from headrace.components import EksCluster, EksEntrance, ModelEndpoint, ServingPlatform

config = pulumi.Config()  # of the stack: Pulumi.dev.yaml
host = config.require("host")

# Network, control plane, nodes, a registry. Its API server answers inside the network, and to the addresses listed.
cluster = EksCluster("models", {"public_access": [config.require("office")]})
kubernetes = pulumi_kubernetes.Provider("kubernetes", kubeconfig=cluster.kubeconfig)
there = pulumi.ResourceOptions(provider=kubernetes)

# The way in: a load balancer, and the name `host` in Route 53.
EksEntrance("entrance", {"cluster": cluster.ref, "host": host, "zone_id": config.require("zone_id")})

# Once a cluster: proxies, control plane, autoscaler.
platform = ServingPlatform(
    "platform",
    {
        "image_delivery": {"kind": "registry", "repository": cluster.repository},
        "exposure": "node_port",
        "host": host,
        "api_server_addresses": ["10.0.0.0/16"],  # the network's, in which AWS moves the API server
    },
    there,
)

# Once a model. How many pods there are, and how many requests each takes at once, follows from the load.
fraud = ModelEndpoint("fraud", {"platform": platform.ref, "model_uri": config.require("model_uri")}, there)

pulumi.export("url", fraud.url)
pulumi.export("ca", platform.ca_certificate)  # the authority that callers trust
'''

_PROGRAMS: Final = {Place.HERE: _HERE, Place.KUBECONFIG: _KUBECONFIG, Place.EKS: _EKS}

_REGISTRY: Final = """\
  $name:registry: registry.example.com/models # you may push here, and the nodes may pull
"""
_HEAD: Final = """\
# Settings of the stack dev. What is of example.com is yours to replace.
config:
"""
_SETTINGS: Final = {
    Place.HERE: Template(_HEAD + _REGISTRY),
    Place.KUBECONFIG: Template(_HEAD + "  $name:kubeconfig: $kubeconfig\n" + _REGISTRY),
    Place.EKS: Template(_HEAD + """\
  aws:region: eu-west-1
  $name:office: 192.0.2.0/24 # addresses that may reach the API server, yours among them
  $name:zone_id: Z0123456789ABCDEFGHIJ # zone in Route 53 that holds the name below
"""),
}  # fmt: skip
_COMMON_SETTINGS: Final = Template("""\
  $name:host: models.example.com # name that callers use
  $name:model_uri: models:/fraud/1 # at the MLflow server that MLFLOW_TRACKING_URI names
""")
