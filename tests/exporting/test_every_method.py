"""Every format of every method, its default form, on the sample models."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.exporting.outcome import FORMATS
from sample_models import load

from .points import CHECKED, check, every_method, write

LONGER = ("document_mlp", "cancer_mlp", "spoken_digits", "fashion_resnet", "language_transformer", "character_lm")
MODELS = ["digits_mlp", *(pytest.param(name, marks=[pytest.mark.slow, pytest.mark.matrix]) for name in LONGER)]


@pytest.mark.parametrize("name", MODELS)
def test_every_file_gives_what_the_model_gives(name: str, tmp_path: Path) -> None:
    workload = load(name)
    recipes = every_method(workload)
    points = [write(workload, recipe, tmp_path / str(n), FORMATS) for n, recipe in enumerate(recipes.values())]
    assert len(recipes) > 5
    wrong = []
    for method, found in zip(recipes, check(*points), strict=True):
        files = {file.kind: file for file in found.files}
        assert files.keys() == {*CHECKED, "card"}
        wrong += [(method, files[k].file, files[k].reason) for k in CHECKED if files[k].verified is not True]
        parameters = sum(p.numel() for p in points[0].model.parameters()) if method == next(iter(recipes)) else None
        for kind in CHECKED:
            assert files[kind].batches == (1, 64)
            assert files[kind].examples == 64
            assert parameters is None or files[kind].parameters == parameters
        for kind in ("safetensors", "pt2", "script"):
            assert files[kind].difference == 0, (method, kind)
        assert sorted(path.name for path in found.folder.iterdir()) == [
            "architecture.json", "card.md", "model.onnx", "model.pt2", "model.safetensors", "rebuild.py", "replay.py",
        ]  # fmt: skip
    assert wrong == []
