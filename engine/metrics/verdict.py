"""Whether a variant is faster, and why: from times, shapes and counts alone, never from what made it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from engine.errors import Message
from engine.metrics.layers import LayerCost
from engine.metrics.machine import Machine
from engine.metrics.record import Estimate

FASTER, SLOWER, SAME = "faster", "slower", "not distinguishable"
MOST_ROWS = 100  # of the evidence
DEARER = 0.05  # a multiply-add
TILE = 8  # numbers that vector units take at once, or a multiple of it
ELSEWHERE = 0.1  # of the time: less is no path that costs
LAUNCH = 0.35  # of a layer's time
MOVING = 0.2  # of a layer's time: a copy, by which the ceiling is measured, is the best that there is
FEW_ZEROS = 0.001  # of the parameters: trained weights hold some by chance
NOTHING_NEW = Message("not established: the layers' times and shapes do not explain it")


@dataclass(frozen=True)
class Sides:
    """What a cause is read from: the layers before and after, the machine, and what the whole models hold.

    zeros    how many more zeros the variant holds
    """

    before: Sequence[LayerCost]
    after: Sequence[LayerCost]
    machine: Machine
    zeros: int = 0


def speed_of(ratio: Estimate, floor: float) -> str:
    """One of three words: `ratio` (variant / original, with its 99 % interval) must lie beyond the noise floor."""
    if ratio.low is None or ratio.high is None:
        return SAME
    if ratio.low > 1 + floor:
        return SLOWER
    return FASTER if ratio.high < 1 / (1 + floor) else SAME


def is_busy(ratio: Estimate, floor: float) -> bool:
    """Whether the interval is wider than the noise floor: something else used the machine, or the budget was short."""
    if ratio.value is None or ratio.low is None or ratio.high is None:
        return False
    return ratio.high - ratio.low > 2 * 1.25 * floor * ratio.value


def cause_of(speed: str, sides: Sides) -> Message:
    """Why, in one sentence."""
    changed = _changed(sides)
    if not changed:
        if sides.zeros > FEW_ZEROS * sum(layer.parameters for layer in sides.before):
            return Message("only zeros were made: dense kernels do the same work for a zero as for any other number")
        return Message("nothing that costs time was changed: every layer has the shape it had")
    if speed == FASTER:
        return _other_numbers(changed, sides) or _less_work(changed)
    for find in (_other_numbers, _parts, _elsewhere, _launch, _tile, _memory):
        if (found := find(changed, sides)) is not None:
            return found
    return NOTHING_NEW


@dataclass(frozen=True)
class Change:
    """A layer of the original with what stands in its place: itself in another shape, several, or nothing."""

    before: LayerCost
    after: tuple[LayerCost, ...]

    @property
    def spent_ms(self) -> float:
        """What its place costs now."""
        return sum(layer.time_ms for layer in self.after)


def _changed(sides: Sides) -> list[Change]:
    now = {layer.path: layer for layer in sides.after}
    found = []
    for layer in sides.before:
        same = now.get(layer.path)
        if same is not None and _form(same) == _form(layer):
            continue
        inside = [other for other in sides.after if other.path.startswith(f"{layer.path}.")]
        found.append(Change(layer, (same,) if same is not None else tuple(inside)))
    return found


def _form(layer: LayerCost) -> tuple[object, ...]:
    """What the time of a layer hangs on, its numbers aside. A quantized layer's products are not counted."""
    return layer.shape, layer.dtype, layer.parameters, layer.multiply_adds


def _less_work(changed: Sequence[Change]) -> Message:
    """Where the time went that was saved."""
    saved = {change.before.path: change.before.time_ms - change.spent_ms for change in changed}
    total, most = sum(saved.values()), max(saved, key=lambda path: saved[path])
    if total <= 0:
        return NOTHING_NEW
    key = "less work on the path that costs time: its layers take {total:.3g} ms less, {layer} alone {most:.3g}"
    return Message(key, {"total": total, "layer": most, "most": saved[most]})


def _other_numbers(changed: Sequence[Change], sides: Sides) -> Message | None:
    pairs = [(c.before, c.after[0]) for c in changed if len(c.after) == 1]
    turned = [(was, now) for was, now in pairs if was.shape == now.shape and was.dtype != now.dtype]
    if len(turned) < len(changed):
        return None
    before, after = (sum(pair[side].time_ms for pair in turned) for side in (0, 1))
    key = "only the kind of number changed: in {now} the layers take {after:.3g} ms, in {was} {before:.3g}"
    was, now = turned[0]
    return Message(key, {"now": now.dtype, "was": was.dtype, "after": after, "before": before})


def _parts(changed: Sequence[Change], sides: Sides) -> Message | None:
    split = [change for change in changed if len(change.after) > 1]
    before, after = sum(c.before.time_ms for c in split), sum(c.spent_ms for c in split)
    if not split or after < 0.95 * before or before < 0.5 * sum(c.before.time_ms for c in changed):
        return None
    worst = max(split, key=lambda change: change.spent_ms - change.before.time_ms)
    key = "two small products cost more than one large: {layer} took {before:.3g} ms, its parts take {after:.3g}"
    return Message(key, {"layer": worst.before.path, "before": worst.before.time_ms, "after": worst.spent_ms})


def _elsewhere(changed: Sequence[Change], sides: Sides) -> Message | None:
    share = sum(c.before.time_ms for c in changed) / max(sum(layer.time_ms for layer in sides.before), 1e-12)
    held = sum(layer.parameters for layer in sides.before)
    gone = 1 - sum(layer.parameters for layer in sides.after) / max(held, 1)
    if share >= ELSEWHERE or gone <= 0:
        return None
    key = (
        "parameters fell, but not on the path that costs time: {gone:.0%} went, from layers that take {share:.0%} of it"
    )
    return Message(key, {"gone": gone, "share": share})


def _launch(changed: Sequence[Change], sides: Sides) -> Message | None:
    machine = sides.machine
    calls = [machine.conv_launch_ms if c.before.kind.startswith("Conv") else machine.launch_ms for c in changed]
    share = sum(calls) / max(sum(change.before.time_ms for change in changed), 1e-12)
    if share < LAUNCH:
        return None
    key = "too small to fill the device: at least {share:.0%} of the changed layers' time is the price of calling them"
    return Message(key, {"share": min(share, 1.0)})


def _tile(changed: Sequence[Change], sides: Sides) -> Message | None:
    for change in sorted(changed, key=lambda c: -c.spent_ms):
        if len(change.after) != 1 or not change.before.multiply_adds or not change.after[0].multiply_adds:
            continue
        was, now = change.before, change.after[0]
        odd = [new for old, new in zip(was.shape[:2], now.shape[:2], strict=False) if old % TILE == 0 and new % TILE]
        dearer = (now.time_ms / now.multiply_adds) / (was.time_ms / was.multiply_adds) - 1
        if odd and dearer > DEARER:
            key = (
                "widths are misaligned with the hardware's tile: {layer} is {width} wide, no multiple of {tile}, and "
                "each of its multiply-adds costs {dearer:.0%} more"
            )
            return Message(key, {"layer": now.path, "width": odd[0], "tile": TILE, "dearer": dearer})
    return None


def _memory(changed: Sequence[Change], sides: Sides) -> Message | None:
    def total(name: str, layers: Sequence[LayerCost]) -> float:
        return float(sum(getattr(layer, name) for layer in layers))

    before = [change.before for change in changed]
    after = [layer for change in changed for layer in change.after]
    fewer = 1 - total("multiply_adds", after) / max(total("multiply_adds", before), 1)
    less = 1 - total("moved_bytes", after) / max(total("moved_bytes", before), 1)
    moving = total("moved_bytes", before) / sides.machine.bytes_per_s * 1e3 / max(total("time_ms", before), 1e-12)
    if fewer < 0.1 or less > 0.6 * fewer or moving < MOVING:
        return None
    key = "memory-bound: multiply-adds fell by {fewer:.0%}, but the bytes that are moved by {less:.0%}"
    return Message(key, {"fewer": fewer, "less": max(less, 0.0)})


def evidence_of(sides: Sides) -> dict[str, object]:
    """What the cause was read from, as plain data: the layers that changed, all layers together, and the machine."""
    rows = [
        {"layer": c.before.path, "before": c.before.to_dict(), "after": [layer.to_dict() for layer in c.after]}
        for c in _changed(sides)[:MOST_ROWS]
    ]
    both = {"before": sides.before, "after": sides.after}
    totals = {side: sum(layer.time_ms for layer in found) for side, found in both.items()}
    return {"layers": rows, "layers_ms": totals, "more_zeros": sides.zeros, "machine": sides.machine.to_dict()}
