"""A pair of models timed on one batch size, and what follows from it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias, cast

from torch import nn

from engine.errors import Message
from engine.examples import Inputs, count
from engine.memo import Memo
from engine.method import Channel
from engine.metrics.compute import count_once
from engine.metrics.latency import time_pair
from engine.metrics.layers import LayerCost, layer_costs
from engine.metrics.machine import HANGS_ON, Machine, know_machine
from engine.metrics.memory import peak_memory
from engine.metrics.record import Estimate, Protocol
from engine.metrics.verdict import Sides, cause_of, evidence_of, is_busy, speed_of
from engine.revision import revision
from engine.store import Payload, RecordKind

UNSEEN = Message("not looked into along a curve: measure the point by itself")
Get: TypeAlias = Callable[[RecordKind, Payload, Callable[[], Payload]], Payload]
Kept: TypeAlias = dict[str, tuple[float, list[LayerCost]]]
LAYERS_S = 0.1  # for the layers of one model: enough for the cause of a verdict
DRIFT = 0.1  # of a pass of the original: beyond it the layers' times are no longer those of this machine's pace


def machine_of(protocol: Protocol, get: Get) -> Machine:
    """What is known of the machine, from the store or measured."""
    key: Payload = {name: getattr(protocol, name) for name in HANGS_ON}
    known = get("machine", {**key, "revision": revision()}, lambda: know_machine(protocol).to_dict())
    return Machine(**cast("dict[str, float]", known))


def time_record(
    pair: tuple[nn.Module, nn.Module], inputs: Inputs, protocol: Protocol, channel: Channel, memo: Memo, looks: bool
) -> Payload:
    """Latency of both, their ratio, their peak memory, and the cost of every layer of each, as plain data.

    pair     original and variant
    memo     of the original, whose work, layers and peak memory are the same beside every variant
    looks    whether the layers are looked at, too: what says why
    """
    original, variant = pair
    times = time_pair(original, variant, inputs, protocol, channel)
    figures: Payload = {
        side: {name: estimate.to_dict() for name, estimate in values.items()}
        for side, values in times.figures().items()
    }
    key = (protocol.dtype, count(inputs))
    once = memo.once(("peak_memory", *key), lambda: peak_memory(original, inputs))
    for side, peak in (("original", once), ("variant", peak_memory(variant, inputs))):
        cast("Payload", figures[side])["peak_memory"] = peak.to_dict()
    if not looks:
        return {**figures, "ended": times.ended, "layers": None}
    own = _own_costs(original, inputs, float(times.original.median()), memo.once(("layer costs", *key), dict), memo)
    layers = [[layer.to_dict() for layer in side] for side in (own, _costs(variant, inputs, memo))]
    return {**figures, "ended": times.ended, "layers": layers}


def _own_costs(original: nn.Module, inputs: Inputs, now_ms: float, kept: Kept, memo: Memo) -> list[LayerCost]:
    """Of the original, timed once, and again where a pass of it has since become faster or slower by a tenth.

    kept    what a pass took then, and the costs
    """
    if not kept or abs(now_ms / kept["costs"][0] - 1) > DRIFT:
        kept["costs"] = now_ms, _costs(original, inputs, memo)
    return kept["costs"][1]


def _costs(model: nn.Module, inputs: Inputs, memo: Memo) -> list[LayerCost]:
    return layer_costs(model, inputs, LAYERS_S, count_once(model, inputs, memo).by_module)


def speed_of_record(record: Payload, batch: int, machine: Machine, sizes: tuple[Payload, Payload]) -> Payload:
    """What one timed batch size says: verdict, ratio, throughput, and how it was timed.

    sizes    the records of original and variant with `nonzero` and `parameters`
    """
    ratio = Estimate(**cast("dict[str, Any]", cast("Payload", record["ratio"])["wide"]))
    looked = cast("list[list[Any]] | None", record["layers"])
    before, after = ([LayerCost.from_dict(layer) for layer in side] for side in looked or ([], []))
    zeros = [_count(size, "parameters") - _count(size, "nonzero") for size in sizes]
    sides, speed = Sides(before, after, machine, zeros[1] - zeros[0]), speed_of(ratio, machine.noise_floor)
    medians = [Estimate(**cast("Payload", record[side])["median"]) for side in ("original", "variant")]  # type: ignore[arg-type]
    return {
        "verdict": {
            "speed": speed,
            "cause": str(cause_of(speed, sides) if looked else UNSEEN),
            "evidence": evidence_of(sides),
        },
        "ratio": ratio.to_dict(),
        "busy": is_busy(ratio, machine.noise_floor),
        "throughput_per_s": dict(zip(("original", "variant"), (_per_second(m, batch) for m in medians), strict=True)),
        "ended": record["ended"],
        "measured_on": record["measured_on"],
    }


def _count(size: Payload, name: str) -> int:
    return int(cast("Any", cast("Payload", size[name])["value"]))


def _per_second(median: Estimate, batch: int) -> float | None:
    return None if not median.value else batch * 1e3 / median.value
