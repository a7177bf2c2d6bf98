"""In every family of the hub the layers can be taken out, whatever they are called by and whatever else they give."""

# ruff: noqa: F401  fixtures come from hub_models
from __future__ import annotations

from collections.abc import Callable
from itertools import combinations

import pytest
import torch
from torch import nn

from engine.copying import structural_copy
from engine.edit.blocks import find_blocks, take_out
from engine.edit.runs import chains
from engine.examples import Inputs, main_tensor, run
from tests.engine.hub_models import SMALL, no_network, threads_end

IDS = torch.randint(4, 20, (2, 7), generator=torch.Generator().manual_seed(1))
TEXT = {"input_ids": IDS, "attention_mask": torch.ones_like(IDS)}
PICTURE = {"pixel_values": torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(2))}
WORDS = {**SMALL, "num_hidden_layers": 3, "vocab_size": 20}
SIGHT = {**SMALL, "num_hidden_layers": 3, "image_size": 32, "patch_size": 8}
GPT = {"n_embd": 16, "n_layer": 3, "n_head": 2, "n_positions": 32, "vocab_size": 20}
ENDS = {"bos_token_id": 1, "eos_token_id": 2}
T5 = {"d_model": 16, "d_kv": 8, "d_ff": 32, "num_layers": 3, "num_heads": 2, "vocab_size": 20}
STAGED = {"embed_dim": 8, "depths": [2, 2], "num_heads": [2, 2], "window_size": 4, "image_size": 32, "patch_size": 4}

# configuration, its settings, what builds it, its inputs, where its layers stand, how many stand in a row
MODELS: dict[str, tuple[str, dict[str, object], str, dict[str, torch.Tensor], str, list[int]]] = {
    "bert": ("BertConfig", WORDS, "AutoModel", TEXT, "encoder.layer.", [3]),
    "deberta": ("DebertaV2Config", WORDS, "AutoModel", TEXT, "encoder.layer.", [3]),
    "gpt2": ("GPT2Config", {**GPT, **ENDS}, "AutoModelForCausalLM", TEXT, "transformer.h.", [3]),
    "gpt_neo": (
        "GPTNeoConfig",
        {"hidden_size": 16, "num_layers": 2, "num_heads": 2, "vocab_size": 20, **ENDS}
        | {"attention_types": [[["global", "local"], 1]]},
        "AutoModelForCausalLM", TEXT, "transformer.h.", [2],
    ),
    "llama": ("LlamaConfig", WORDS, "AutoModelForCausalLM", TEXT, "model.layers.", [3]),
    "bloom": (
        "BloomConfig", {"hidden_size": 16, "n_layer": 3, "n_head": 2, "vocab_size": 20}, "AutoModelForCausalLM", TEXT,
        "transformer.h.", [3],
    ),
    "t5": ("T5Config", T5, "AutoModelForSeq2SeqLM", {**TEXT, "decoder_input_ids": IDS}, "", []),
    "vit": ("ViTConfig", SIGHT, "AutoModelForImageClassification", PICTURE, "vit.layers.", [3]),
    "swin": ("SwinConfig", STAGED, "AutoModelForImageClassification", PICTURE, "swin.encoder.layers.", [2, 2]),
    "resnet": (
        "ResNetConfig", {"embedding_size": 8, "hidden_sizes": [8, 16], "depths": [2, 3], "layer_type": "basic"},
        "AutoModelForImageClassification", PICTURE, "resnet.encoder.stages.", [2, 2],
    ),
}  # fmt: skip


def built(name: str) -> tuple[nn.Module, Inputs]:
    import transformers

    config, settings, auto, inputs, *_ = MODELS[name]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = getattr(transformers, auto).from_config(getattr(transformers, config)(**settings))
    return model.eval(), inputs


@pytest.mark.parametrize("name", [name for name, (*_, rows) in MODELS.items() if rows])
def test_its_layers_are_found_in_their_rows(name: str) -> None:
    model, inputs = built(name)
    *_, where, rows = MODELS[name]
    blocks = find_blocks(model, inputs)
    found = [[blocks[i].path for i in row] for row in chains(blocks)]
    whole = [row for row in found if all(path.startswith(where) for path in row) and len(row) > 1]
    assert [len(row) for row in whole] == rows


@pytest.mark.parametrize("name", MODELS)
def test_it_runs_without_any_two_of_them(name: str) -> None:
    model, inputs = built(name)
    blocks = find_blocks(model, inputs)
    with torch.no_grad():
        wanted = main_tensor(run(model, inputs))
        for pair in list(combinations(blocks, 2))[:40]:
            left = main_tensor(run(take_out(structural_copy(model), pair), inputs))
            assert left.shape == wanted.shape
            assert left.isfinite().all()


def test_what_makes_the_bias_that_later_layers_need_stays_whole() -> None:
    """T5's first attention makes the positions' bias for all: it is no layer, and the later ones are."""
    model, inputs = built("t5")
    found = {block.path for block in find_blocks(model, inputs)}
    assert "encoder.block.0.layer.0" not in found
    assert {"encoder.block.1.layer.0", "encoder.block.1.layer.1", "decoder.block.2.layer.1"} <= found
