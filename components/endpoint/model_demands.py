"""What a model says that it needs around it, in its MLmodel file, and what of that an endpoint does not grant. Pure."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Final

from headrace.components.endpoint.endpoint_egress import EgressRule, Transport
from headrace.components.endpoint.selection.select import WAITING_FLAVORS, agent_of

_HOST: Final = "DATABRICKS_HOST"
_CREDENTIALS: Final = (
    ("DATABRICKS_TOKEN",),
    ("DATABRICKS_CLIENT_ID", "DATABRICKS_CLIENT_SECRET"),
)
"""Sets of variables of which Databricks' clients take one."""


def not_granted(mlmodel: Mapping[str, Any], environment: Collection[str], egress: Sequence[EgressRule]) -> list[str]:
    """A sentence for each thing that the model needs and that these variables and destinations do not give it."""
    return [
        *_variables(mlmodel, environment),
        *_databricks(mlmodel, environment, egress),
        *_as_the_caller(mlmodel),
        *_other_services(mlmodel, egress),
    ]


def _variables(mlmodel: Mapping[str, Any], environment: Collection[str]) -> Iterator[str]:
    listed = mlmodel.get("env_vars")
    missing = [str(name) for name in _list(listed) if name not in environment]
    if missing:
        yield (
            f"The model read {', '.join(missing)} from its environment when it was logged, and environment does not "
            "give it that; add it if the model needs it to answer"
        )


def _databricks(
    mlmodel: Mapping[str, Any], environment: Collection[str], egress: Sequence[EgressRule]
) -> Iterator[str]:
    needed = [
        f"{kind.replace('_', ' ')} {entry['name']!r}" for kind, entry in _resources(mlmodel) if not _of_caller(entry)
    ]
    missing = [] if _HOST in environment else [f"environment[{_HOST}]"]
    if not any(set(names) <= set(environment) for names in _CREDENTIALS):
        ways = " or ".join(" and ".join(f"environment[{name}]" for name in names) for names in _CREDENTIALS)
        missing.append(ways)
    if not any(443 in rule.ports and rule.protocol is Transport.TCP for rule in egress):
        missing.append("egress to the workspace on port 443")
    if needed and missing:
        yield f"The model needs of Databricks {', '.join(needed)}; what is not granted: {'; '.join(missing)}"


def _as_the_caller(mlmodel: Mapping[str, Any]) -> Iterator[str]:
    policy = _mapping(_mapping(mlmodel.get("auth_policy")).get("user_auth_policy"))
    asked = [f"{kind.replace('_', ' ')} {entry['name']!r}" for kind, entry in _resources(mlmodel) if _of_caller(entry)]
    asked += [f"the scope {scope!r}" for scope in _list(policy.get("api_scopes"))]
    if asked:
        yield (
            f"The model uses {', '.join(asked)} as its caller, and a caller's token goes no further than the "
            "PopProxy; log the model with rights of its own"
        )


def _other_services(mlmodel: Mapping[str, Any], egress: Sequence[EgressRule]) -> Iterator[str]:
    agent, flavors = agent_of(mlmodel), sorted(set(_mapping(mlmodel.get("flavors"))) & WAITING_FLAVORS)
    if not egress and (agent or flavors):
        kind = f"Models of the flavor {flavors[0]}" if flavors else f"Agents of the class {agent}"
        yield f"{kind} mostly call other services, and egress is not given; add their hosts if this one does"


def _resources(mlmodel: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Kind and entry of each of Databricks' resources, in either of the two places where MLflow writes them."""
    system = _mapping(_mapping(mlmodel.get("auth_policy")).get("system_auth_policy"))
    seen = []
    for place in (mlmodel, system):
        for kind, entries in _mapping(_mapping(place.get("resources")).get("databricks")).items():
            for entry in _list(entries):
                found = (str(kind), _mapping(entry))
                if "name" in found[1] and found not in seen:
                    seen.append(found)
                    yield found


def _of_caller(entry: Mapping[str, Any]) -> bool:
    return entry.get("on_behalf_of_user") is True


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: object) -> Sequence[Any]:
    return value if isinstance(value, list) else []
