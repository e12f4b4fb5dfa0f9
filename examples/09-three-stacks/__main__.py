"""An endpoint that goes from stack to stack on evidence, on a platform that another stack made."""

import pulumi

from headrace.components import ModelEndpoint
from headrace.stacks import promotion

config = pulumi.Config()
theirs = pulumi.StackReference(config.require("platform_stack"))
(settings,) = config.require_object("endpoints")  # a list, into which `headrace promote` writes
name = settings.pop("name")
endpoint = ModelEndpoint(name, {"platform": theirs.require_output("platform"), **settings})

pulumi.export("url", endpoint.url)
pulumi.export("version", endpoint.version)
pulumi.export("evidence", promotion.evidence({name: endpoint}, config.get("evidence_key") or ""))
