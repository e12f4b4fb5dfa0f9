"""An endpoint on a platform that another stack made."""

import pulumi

from headrace.components import ModelEndpoint

theirs = pulumi.StackReference(pulumi.Config().require("platform_stack"))
churn = ModelEndpoint(
    "churn",
    {"platform": theirs.require_output("platform"), "model_uri": "models:/churn@champion", "labels": {"team": "crm"}},
)

pulumi.export("url", churn.url)
pulumi.export("version", churn.version)
