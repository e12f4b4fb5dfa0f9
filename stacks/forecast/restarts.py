"""Restarts: what in a pod template differs from the one that runs, so that an update replaces its pods. Pure.

The API server adds defaults to what it stores, so what is wanted is looked for in what is there; only in maps and lists
that are the template's own is the reverse a difference, too. Values are never told: some are secrets.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from headrace.stacks.forecast.quantity import quantity

LATER: Final = object()
"""Stands for a value that only the update knows: an image that is not built yet."""
_KEYS: Final = ("name", "mountPath", "topologyKey", "key")
"""By which entries of a pod's lists are the same entry."""
_OWN: Final = frozenset(("labels", "annotations", "nodeSelector", "requests", "limits"))
"""Maps to which nobody else adds."""
_BY_OTHERS: Final = frozenset(("kubectl.kubernetes.io/restartedAt",))
_QUANTITIES: Final = frozenset(("requests", "limits", "sizeLimit"))
_QUANTITY: Final = re.compile(r"\d+(\.\d+)?(m|k|[KMGTPE]i?)?")


def differences(wanted: Any, there: Any, place: str = "") -> Iterator[str]:
    """Places at which the template that is there is not the wanted one, for example `containers[model].image`.

    LATER is a difference: nothing would be built that is there.
    """
    here = place.rpartition(".")[2]
    if wanted is LATER:
        yield f"{place}, built by the update" if here == "image" else place
    elif isinstance(wanted, Mapping):
        yield from _of_maps(wanted, there if isinstance(there, Mapping) else {}, place, here)
    elif isinstance(wanted, list | tuple):
        yield from _of_lists(wanted, there or (), place)
    elif wanted is not None and not _equal(wanted, there, place):
        yield place


def _of_maps(wanted: Mapping[str, Any], there: Mapping[str, Any], place: str, here: str) -> Iterator[str]:
    for name, value in wanted.items():
        yield from differences(value, there.get(name), f"{place}.{name}" if place else name)
    if here in _OWN:
        yield from (f"{place}.{name}, which goes" for name in there if name not in wanted and name not in _BY_OTHERS)


def _of_lists(wanted: Sequence[Any], there: Sequence[Any], place: str) -> Iterator[str]:
    key = next((key for key in _KEYS if all(isinstance(each, Mapping) and key in each for each in wanted)), None)
    if key is None or not wanted:
        if len(wanted) != len(there) or any(
            list(differences(each, beside)) for each, beside in zip(wanted, there, strict=False)
        ):
            yield place
        return
    found = {each.get(key): each for each in there if isinstance(each, Mapping)}
    for each in wanted:
        entry = f"{place}[{each[key]}]"
        if each[key] in found:
            yield from differences(each, found.pop(each[key]), entry)
        else:
            yield f"{entry}, which is new"
    yield from (f"{place}[{name}], which goes" for name in found)


def _equal(wanted: Any, there: Any, place: str) -> bool:
    if wanted == there:
        return True
    parts = place.split(".")
    if not _QUANTITIES.intersection(parts) or not all(_QUANTITY.fullmatch(str(each)) for each in (wanted, there)):
        # zero, false and empty text are what the API server leaves out
        return there is None and wanted in (0, False, "")
    return quantity(wanted) == quantity(there)
