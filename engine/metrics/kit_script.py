"""Time the two models of this folder on this machine, with torch alone: python bench.py"""

from __future__ import annotations

import argparse
import json
import platform
import sys
from pathlib import Path

import torch

from engine.metrics.rounds import Plan, device_name, identical_ratios, take_rounds

FOLDER = Path(sys.argv[0]).resolve().parent
SIDES = ("original", "variant")


def main() -> int:
    """Time both at every batch size, print what came of it, and write it to a file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu", help="cpu, cuda, mps")
    parser.add_argument("--threads", type=int, help="of torch, inside one operator; default as where the kit was made")
    parser.add_argument("--out", default=str(FOLDER / "result.json"), help="where the result is written")
    options = parser.parse_args()
    kit = json.loads((FOLDER / "kit.json").read_text("utf-8"))
    threads, device = options.threads or kit["threads"], torch.device(options.device)
    torch.set_num_threads(threads)
    programs = {side: torch.export.load(FOLDER / f"{side}.pt2") for side in SIDES}
    found = {str(batch): timed(programs, batch, device, Plan(**kit["plan"])) for batch in kit["batches"]}
    machine = {
        "machine": platform.node() or "unnamed", "device": str(device), "device_name": device_name(device),
        "threads": threads, "torch_version": torch.__version__,
    }  # fmt: skip
    result = {"kit": kit, "machine": machine, "identical": identical_ratios(device), "batches": found}
    Path(options.out).write_text(json.dumps(result), "utf-8")
    for batch, times in found.items():
        medians = [float(torch.tensor(times[side]).quantile(0.5)) for side in SIDES]
        print(f"batch {batch}: original {medians[0]:.4g} ms, variant {medians[1]:.4g} ms")  # noqa: T201 - a script
    print(f"written to {options.out}")  # noqa: T201 - a script
    return 0


def timed(programs: dict, batch: int, device: torch.device, plan: Plan) -> dict:  # type: ignore[type-arg]
    """The times of both on one batch, in milliseconds: (rounds, 2) each."""
    works = []
    for side in SIDES:
        program = programs[side]
        module = program.module(check_guards=False).to(device)
        module._forward_pre_hooks.clear()  # checks of the inputs' shapes, which are no part of the model
        module._forward_pre_hooks_with_kwargs.clear()
        given, named = program.example_inputs
        inputs = [enough(tensor, batch).to(device) for tensor in given]
        keywords = {name: enough(tensor, batch).to(device) for name, tensor in named.items()}
        works.append(lambda module=module, inputs=inputs, keywords=keywords: module(*inputs, **keywords))
    rounds = take_rounds(works[0], works[1], device, plan)
    return {"original": rounds.original.tolist(), "variant": rounds.variant.tolist(), "ended": rounds.ended}


def enough(tensor: torch.Tensor, batch: int) -> torch.Tensor:
    """The first examples of a batch, from the start again where there are fewer."""
    return tensor[torch.arange(batch) % len(tensor)].clone()


if __name__ == "__main__":
    sys.exit(main())
