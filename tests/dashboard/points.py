"""Measured points as plain data, made by hand."""

from __future__ import annotations

from engine import Estimate

ORIGINAL = {
    "parameters": Estimate.exact(1000, "parameters"),
    "nonzero": Estimate.exact(1000, "parameters"),
    "structural": Estimate.exact(1000, "parameters"),
    "multiply_adds": Estimate.exact(2_000_000, "multiply-adds"),
    "size_bytes": Estimate.exact(4_000_000, "bytes"),
    "latency_ms": Estimate(2.0, 1.5, 3.0, 40, "ms"),
    "latency_ms_64": Estimate(20.0, 15.0, 30.0, 40, "ms"),
    "accuracy": Estimate(0.9, 0.88, 0.92, 500, "fraction"),
}
PROTOCOL = {
    "device": "cpu", "device_name": "A processor", "threads": 2, "dtype": "float32", "torch_version": "2.13.0",
    "examples": 500, "seed": 0,
}  # fmt: skip


def measured(**changes: Estimate) -> dict[str, object]:
    """A point as a job's result, with these figures of the variant changed."""
    variant = ORIGINAL | changes
    return {
        "protocol": PROTOCOL,
        "original": {name: e.to_dict() for name, e in ORIGINAL.items()},
        "variant": {name: e.to_dict() for name, e in variant.items()},
        "chance": 0.1,
    }
