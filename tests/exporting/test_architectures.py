"""Every architecture that the methods are tried on, rebuilt from what its script would read, in this process."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from engine import CannotApply, Recipe
from engine.examples import call, take, tensors_of
from engine.exporting.architecture import plan_of
from engine.exporting.rebuilding import build, read_tensors
from engine.exporting.scripts import rebuild_script
from tests.architectures.every import ARCHITECTURES, architecture

NOT = {"wav2vec2": "got parametrized ones in wav2vec2.encoder.pos_conv_embed.conv: "}  # torch's weight normalisation


@pytest.mark.slow
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_it_gives_the_very_same_answers(name: str, tmp_path: Path) -> None:
    workload, recipe = architecture(name), Recipe.of(["node_pruning"])
    try:
        model = recipe.apply(workload, "cpu")
    except CannotApply:
        model = workload.model()
    if name in NOT:
        with pytest.raises(CannotApply, match=NOT[name]):
            plan_of(model)
        return
    plan = plan_of(model)
    compile(rebuild_script(plan, workload.name, recipe, [])[0], "rebuild.py", "exec")
    save_file(plan.state, tmp_path / "model.safetensors")
    told = json.loads(json.dumps(plan.to_dict(), allow_nan=False))
    got = build(told, read_tensors(tmp_path / "model.safetensors"), plan.names.found)
    inputs = take(workload.test[0], slice(4))
    with torch.no_grad():
        wanted, answer = (tensors_of(call(one, inputs)) for one in (model, got))
    assert len(answer) == len(wanted)
    assert all(torch.equal(one, other) for one, other in zip(answer, wanted, strict=True))
    assert sum(p.numel() for p in got.parameters()) == sum(p.numel() for p in model.parameters())
