"""Forty architectures of all kinds, small and with random weights: factoring takes them, or says why not."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from engine import CannotApply, Recipe, Task, Workload
from engine.examples import Inputs, main_tensor, run
from engine.sources.hub_model import quiet

TEXT = {"vocab_size": 40, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
TOKEN = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
KV = {**TEXT, **TOKEN, "num_key_value_heads": 1, "max_position_embeddings": 32}
PICTURE = {
    "image_size": 16, "patch_size": 4, "num_channels": 3, "hidden_size": 16, "num_hidden_layers": 2,
    "num_attention_heads": 2, "intermediate_size": 32,
}  # fmt: skip
STAGES = {"num_channels": 3, "embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 1]}
BART = {
    "vocab_size": 40, "d_model": 16, "encoder_layers": 1, "decoder_layers": 1, "encoder_attention_heads": 2,
    "decoder_attention_heads": 2, "encoder_ffn_dim": 32, "decoder_ffn_dim": 32, "max_position_embeddings": 32,
}  # fmt: skip
T5 = {"vocab_size": 40, "d_model": 16, "d_kv": 8, "d_ff": 32, "num_layers": 1, "num_heads": 2}
SPEECH = {
    **TEXT, "conv_dim": [16, 16], "conv_stride": [2, 2], "conv_kernel": [3, 3], "num_feat_extract_layers": 2,
    "num_conv_pos_embeddings": 4, "num_conv_pos_embedding_groups": 2,
}  # fmt: skip
# (class of transformers, its configuration): one of each kind of input
TEXTS = {
    "bert": ("Bert", TEXT), "roberta": ("Roberta", TEXT), "electra": ("Electra", {**TEXT, "embedding_size": 8}),
    "distilbert": ("DistilBert", {"vocab_size": 40, "dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 32}),
    "albert": ("Albert", {**TEXT, "embedding_size": 8}), "mpnet": ("MPNet", TEXT),
    "deberta": ("DebertaV2", {**TEXT, "relative_attention": True, "pos_att_type": ["p2c", "c2p"]}),
    "gpt2": ("GPT2", {"vocab_size": 40, "n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 32}),
    "gpt_neo": ("GPTNeo", {
        "vocab_size": 40, "hidden_size": 16, "num_layers": 2, "num_heads": 2, "max_position_embeddings": 32,
        "attention_types": [[["global", "local"], 1]],
    }),
    "gpt_neox": ("GPTNeoX", {**TEXT, **TOKEN}), "gptj": ("GPTJ", {
        "vocab_size": 40, "n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 32, "rotary_dim": 4,
    }),
    "bloom": ("Bloom", {"vocab_size": 40, "hidden_size": 16, "n_layer": 2, "n_head": 2}),
    "opt": ("OPT", {
        "vocab_size": 40, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "ffn_dim": 32,
        "word_embed_proj_dim": 16, "max_position_embeddings": 32,
    }),
    "llama": ("Llama", KV), "mistral": ("Mistral", KV), "qwen2": ("Qwen2", KV),
    "gemma": ("Gemma", {**KV, "head_dim": 8}),
    "phi": ("Phi", {**KV, "num_key_value_heads": 2}), "falcon": ("Falcon", {**TEXT, **TOKEN}),
    "mamba": ("Mamba", {"vocab_size": 40, "hidden_size": 16, "state_size": 4, "num_hidden_layers": 2, **TOKEN}),
    "bart": ("Bart", BART), "t5": ("T5Encoder", T5), "xlnet": ("XLNet", {
        "vocab_size": 40, "d_model": 16, "n_layer": 2, "n_head": 2, "d_inner": 32,
    }),
    "funnel": ("Funnel", {
        "vocab_size": 40, "block_sizes": [1, 1], "d_model": 16, "n_head": 2, "d_head": 8, "d_inner": 32,
        "num_decoder_layers": 1,
    }),
}  # fmt: skip
PICTURES = {
    "vit": ("ViT", PICTURE), "deit": ("DeiT", PICTURE), "beit": ("Beit", PICTURE), "dinov2": ("Dinov2", PICTURE),
    "swin": ("Swin", {"image_size": 16, "patch_size": 2, "embed_dim": 8, "depths": [1, 1], "num_heads": [1, 2],
                      "window_size": 2}),
    "convnext": ("ConvNext", {"hidden_sizes": [8, 16], "depths": [1, 1], "num_stages": 2, "patch_size": 2}),
    "resnet": ("ResNet", {**STAGES, "layer_type": "basic"}), "regnet": ("RegNet", {**STAGES, "groups_width": 4}),
    "mobilenet_v1": ("MobileNetV1", {"depth_multiplier": 0.25, "min_depth": 8, "image_size": 32}),
    "mobilenet_v2": ("MobileNetV2", {"depth_multiplier": 0.25, "image_size": 32}),
    "segformer": ("Segformer", {
        "num_encoder_blocks": 2, "depths": [1, 1], "sr_ratios": [2, 1], "hidden_sizes": [8, 16], "patch_sizes": [3, 3],
        "strides": [2, 2], "num_attention_heads": [1, 2], "mlp_ratios": [2, 2],
    }),
    "poolformer": ("PoolFormer", {
        "hidden_sizes": [8, 16, 16, 16], "depths": [1, 1, 1, 1], "num_encoder_blocks": 4,
    }),
}  # fmt: skip
SOUNDS = {"wav2vec2": ("Wav2Vec2", SPEECH), "hubert": ("Hubert", SPEECH)}


class LSTM(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed, self.inner, self.head = nn.Embedding(40, 12), nn.LSTM(12, 16, batch_first=True), nn.Linear(16, 12)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.inner(self.embed(x))[0])


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed, self.out = nn.Embedding(40, 16), nn.Linear(16, 40, bias=False)
        self.out.weight = self.embed.weight

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.embed(x))


REFUSED = {"tied alone", "falcon"}  # falcon's linear layers have a forward() of their own
KINDS: dict[str, tuple[str, Callable[[], nn.Module]]] = {
    **{name: (kind, lambda made=made: hub(*made)) for kind, found in
       (("text", TEXTS), ("picture", PICTURES), ("sound", SOUNDS)) for name, made in found.items()},
    "lstm": ("text", LSTM), "tied alone": ("text", Tied),
}  # fmt: skip
FORMS = ("low_rank", "energy", "budget", "whitened", "rotated")
VALUES = {"low_rank": {"rank": 0.3}, "energy": {"energy": 0.5}, "budget": {"amount": 0.05}}


def hub(name: str, settings: dict[str, object]) -> nn.Module:
    import transformers

    config = getattr(transformers, f"{name.removesuffix('Encoder')}Config")(**settings)
    with quiet(transformers):
        model: nn.Module = getattr(transformers, f"{name}Model")(config)
    return model


def first_output(outputs: object) -> Tensor:
    return outputs if isinstance(outputs, Tensor) else outputs[0]  # type: ignore[index, no-any-return]


class Answer(nn.Module):
    """The first of what a model gives."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        return first_output(self.net(x))


def workload(name: str) -> tuple[Workload, Inputs]:
    kind, make = KINDS[name]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = Answer(make()).eval()
        shapes = {
            "picture": (6, 3, 32 if "mobilenet" in name else 16, 32 if "mobilenet" in name else 16),
            "sound": (6, 80),
        }
        inputs = torch.randint(3, 40, (6, 9)) if kind == "text" else torch.randn(shapes[kind])
    pair = (inputs, torch.zeros(6, dtype=torch.long))
    task = Task(
        "size",
        loss=lambda outputs, targets: outputs.square().mean(),
        terms=lambda outputs, targets: outputs.flatten(1).mean(1, True).double(),
        finish=lambda sums: sums[..., 0],
    )
    return Workload(name, net, task, train=pair, validation=pair, test=pair), inputs


def test_there_are_forty_and_most_of_them_are_taken() -> None:
    assert len(KINDS) == 40
    assert len(KINDS) - len(REFUSED) >= 36


@pytest.mark.parametrize("name", KINDS)
def test_it_is_taken_or_says_why_not(name: str) -> None:
    brought, inputs = workload(name)
    whole = sum(p.numel() for p in brought.model().parameters())
    with torch.no_grad():
        shape = main_tensor(run(brought.model(), inputs)).shape
    for form in FORMS:
        values = {**VALUES.get(form, {"rank": 0.3}), **({} if form == "low_rank" else {"examples": 6})}
        recipe = Recipe.of([["structure_optimization", {"form": form, **values}]])
        if name in REFUSED:
            with pytest.raises(CannotApply, match=r"must find linear layers"):
                recipe.apply(brought, device="cpu")
            continue
        variant = recipe.apply(brought, device="cpu")
        assert sum(p.numel() for p in variant.parameters()) < whole, form
        with torch.no_grad():
            outputs = main_tensor(run(variant, inputs))
        assert outputs.shape == shape
        assert outputs.isfinite().all()
