"""What two points must have in common before a figure of one is held against the other's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from engine.comparing.points import Point
from engine.errors import Message

SIZES = frozenset({"parameters", "nonzero", "structural", "multiply_adds"})
BYTES = frozenset({"size_bytes", "compressed_bytes"})
TIMED = ("machine", "device", "device_name", "threads", "torch_version", "dtype")
BY_KIND = {
    "count": (), "bytes": ("dtype",), "memory": ("machine", "device", "device_name", "torch_version", "dtype"),
    "time": TIMED, "score": ("split", "seed", "dtype"),
}  # fmt: skip
TOLD = ("machine", "device", "device_name", "dtype", "threads", "split", "seed", "torch_version")
NUMERIC = ("device", "dtype", "torch_version")  # where these agree, the same model on the same data scores the same


def kind_of(figure: str) -> str:
    """What a figure hangs on: "count", "bytes", "memory", "time" or "score"."""
    if figure.startswith("latency"):
        return "time"
    if figure.startswith("peak_memory"):
        return "memory"
    return "count" if figure in SIZES else "bytes" if figure in BYTES else "score"


@dataclass(frozen=True)
class Differing:
    """What two points were not measured alike in.

    workload    what says that model or data are others: then no figure can be compared
    fields      of the protocol, name -> both values
    figures     those of the variants that cannot be compared
    """

    workload: tuple[str, ...]
    fields: dict[str, tuple[object, object]]
    figures: tuple[str, ...]

    @property
    def message(self) -> Message | None:
        """One sentence: what differs, and what cannot be compared; None where nothing differs."""
        told = [*self.workload, *(f"{name} ({one} and {two})" for name, (one, two) in self.fields.items())]
        if not told:
            return None
        fields: dict[str, object] = {"what": ", ".join(told), "figures": ", ".join(self.figures)}
        if self.workload:
            return Message("the points differ in {what}, so no figure can be compared", fields)
        if not self.figures:
            return Message("the points differ in {what}, on which no figure that both have hangs", fields)
        return Message("the points differ in {what}, so these cannot be compared: {figures}", fields)

    def to_dict(self) -> dict[str, object]:
        """As plain data."""
        return {
            "workload": list(self.workload), "protocol": {name: list(pair) for name, pair in self.fields.items()},
            "figures": list(self.figures), "sentence": None if self.message is None else str(self.message),
        }  # fmt: skip


def differing(one: Point, two: Point) -> Differing:
    """What two points differ in beside the recipe."""
    workload = _workload(one, two)
    fields = {
        name: (one.protocol.get(name), two.protocol.get(name))
        for name in TOLD
        if one.protocol.get(name) != two.protocol.get(name)
    }
    both = [name for name in one.variant if name in two.variant]
    marked = both if workload else [name for name in both if set(BY_KIND[kind_of(name)]) & fields.keys()]
    return Differing(workload, fields, tuple(marked))


def _workload(one: Point, two: Point) -> tuple[str, ...]:
    """What says that model or data are others, in words; records hold no fingerprint, so this looks at what they do."""
    if one.model != two.model:
        return (f"model ({one.model} and {two.model})",)
    told: dict[str, tuple[object, object]] = {
        "score": (one.score, two.score),
        "examples of the split": (one.of, two.of),
        "chance": (one.chance, two.chance),
    }
    for name in SIZES:
        if name in one.original and name in two.original:
            told[f"{name} of the original"] = (one.original[name].value, two.original[name].value)
    alike = all(one.protocol.get(name) == two.protocol.get(name) for name in (*NUMERIC, "split"))
    if one.score == two.score and alike:
        told[f"{one.score} of the original"] = (one.original[one.score].value, two.original[two.score].value)
    if one.protocol.get("split") != two.protocol.get("split"):
        del told["examples of the split"], told["chance"]
    return tuple(f"{name} ({_short(a)} and {_short(b)})" for name, (a, b) in sorted(told.items()) if a != b)


def _short(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def comparable(one: Point, two: Point, *figures: str) -> bool:
    """Whether these figures of both can be held against each other."""
    found = differing(one, two)
    return not found.workload and not set(figures) & set(found.figures)


def groups(points: Sequence[Point], *figures: str) -> list[list[int]]:
    """The points by index, parted so that in each group these figures can be compared."""
    found: list[list[int]] = []
    for i, point in enumerate(points):
        for group in found:
            if comparable(points[group[0]], point, *figures):
                group.append(i)
                break
        else:
            found.append([i])
    return found
