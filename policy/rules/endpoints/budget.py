"""Scaling has a budget in money where the stack says so."""

from collections.abc import Iterator

from rules.rule import Level, ObjectRule, Resource, Setting, Settings


def _judge(resource: Resource, settings: Settings) -> Iterator[str]:
    if resource.kind != "AutopilotPodAutoscaler":
        return
    budget, most = (resource.spec.get("budget") or {}).get("costPerHour"), settings["most_cost_per_hour"]
    if budget is None:
        yield "nothing bounds what it may cost; set scale.cost_per_hour and scale.pod_cost_per_hour of the endpoint"
    elif most > 0 and budget > most:
        yield (
            f"it may cost {budget:g} an hour and this stack allows {most:g}; lower scale.cost_per_hour, or raise "
            "`most_cost_per_hour`"
        )


RULE = ObjectRule(
    name="headrace-endpoint-budget",
    description="Endpoints have a budget per hour.",
    level=Level.ADVISORY,
    own_settings=(
        Setting(
            name="most_cost_per_hour",
            meaning="Highest budget per hour that one version may have, in the currency of its inputs. 0: any.",
            default=0,
            type={"type": "number", "minimum": 0},
        ),
    ),
    judge=_judge,
)
