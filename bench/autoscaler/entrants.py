"""Who runs, in which settings, and what a policy's name stands for."""

from collections.abc import Callable
from dataclasses import dataclass

from bench.autoscaler import policies
from bench.autoscaler.build import RAY_VERSION, Peers
from bench.autoscaler.cells import Cell
from bench.autoscaler.policies import Policy, RayServer
from bench.autoscaler.run import Case

OURS = "Headrace APA"
LITERAL = "published rule, literal"
STATIC = "static, sized for the peak"
ORACLE = "oracle, knows each second"


@dataclass(frozen=True, kw_only=True)
class Entrant:
    """One policy in one setting."""

    name: str
    family: str
    """Settings of one family compete for its best."""
    about: str
    start: Callable[[Case], Policy]
    cells: Callable[[Cell], bool] = lambda cell: True


def entrants(peers: Peers, ray: RayServer | None) -> list[Entrant]:
    """Everyone that could be built here."""
    found = [
        Entrant(
            name=OURS,
            family=OURS,
            about="the shipped engine, horizontal axis, no setting",
            start=lambda case: policies.Apa(case.setting),
        ),
        Entrant(
            name=LITERAL,
            family="ablation",
            about="ceil(mean of current requests over 20 s / target) every 5 s, down by the maximum of 5 min",
            start=lambda case: policies.Literal(case.setting),
        ),
        Entrant(
            name=STATIC,
            family="static",
            about="the pods of the highest minute at the soft target",
            start=lambda case: policies.Static(-(-case.needed // 0.7).__int__()),
        ),
    ]
    if peers.kpa is not None:
        binary = peers.kpa
        found += [
            Entrant(
                name="Knative KPA",
                family="Knative",
                about="knative.dev/serving v0.42.2, defaults: target 70 %, stable 60 s, panic 6 s at 200 %",
                start=lambda case: policies.Kpa(case.setting, binary),
            ),
            Entrant(
                name="Knative KPA 90 %",
                family="Knative",
                about="the same at a target utilisation of 90 %",
                start=lambda case: policies.Kpa(case.setting, binary, utilisation=0.9),
            ),
            Entrant(
                name="Knative KPA, delay 60 s",
                family="Knative",
                about="the same with a scale-down delay of 60 s",
                start=lambda case: policies.Kpa(case.setting, binary, delay=60.0),
            ),
        ]
    if peers.hpa is not None:
        controller = peers.hpa
        found += [
            Entrant(
                name="HPA",
                family="HPA",
                about="Kubernetes v1.36.3, external metric, defaults, 15 s of metric lag",
                start=lambda case: policies.Hpa(case.setting, controller),
            ),
            Entrant(
                name="HPA tuned",
                family="HPA",
                about="the same with +900 % per 15 s, 60 s down window, no lag",
                start=lambda case: policies.Hpa(case.setting, controller, tuned=True),
            ),
            Entrant(
                name="KEDA",
                family="KEDA",
                about="the HPA it creates, with 0 <-> 1 by a poll each 30 s and a cooldown of 300 s;"
                " above one pod it is the HPA's row",
                start=lambda case: policies.Keda(case.setting, controller),
                cells=lambda cell: cell.min_replicas == 0,
            ),
        ]
    if ray is not None:
        found += [
            Entrant(
                name="Ray Serve",
                family="Ray Serve",
                about=f"ray {RAY_VERSION}, defaults but the target: look-back 30 s, up after 30 s, down after 600 s",
                start=lambda case: policies.Ray(case.setting, ray),
            ),
            Entrant(
                name="Ray Serve tuned",
                family="Ray Serve",
                about="look-back 5 s, pushed each second, up at once, down after 300 s",
                start=lambda case: policies.Ray(case.setting, ray, tuned=True),
            ),
            Entrant(
                name="Ray Serve tuned, down 60 s",
                family="Ray Serve",
                about="the same, down after 60 s",
                start=lambda case: policies.Ray(case.setting, ray, tuned=True, down=60.0),
            ),
        ]
    return found
