"""Models of transformers for text and speech, from configurations, their weights drawn at random."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

from tests.architectures.data import CLASSES, WORDS

W, LAYERS, HEADS, INNER = 32, 3, 4, 128
PLACES = 32  # more than LENGTH, less than any real one
COMMON = {"vocab_size": WORDS, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "use_cache": False}
READS = {
    "hidden_size": W, "num_hidden_layers": LAYERS, "num_attention_heads": HEADS, "intermediate_size": INNER,
    "max_position_embeddings": PLACES, "num_labels": CLASSES,
}  # fmt: skip
WRITES = {**COMMON, **READS}
BOTH = {
    "d_model": W, "encoder_layers": LAYERS, "decoder_layers": LAYERS, "encoder_attention_heads": HEADS,
    "decoder_attention_heads": HEADS, "encoder_ffn_dim": INNER, "decoder_ffn_dim": INNER,
    "max_position_embeddings": PLACES, "decoder_start_token_id": 1, "forced_eos_token_id": None, **COMMON,
}  # fmt: skip


def of(kind: str, config: str, **values: object) -> Callable[[], nn.Module]:
    """A function that builds the class of that name; transformers takes seconds to import, so it waits until then."""

    def build() -> nn.Module:
        import transformers

        made: Any = getattr(transformers, kind)(getattr(transformers, config)(**values))
        return made

    return build


def reads(name: str, kind: str = "ForSequenceClassification", **values: object) -> Callable[[], nn.Module]:
    """A model that reads: `Bert` with its ending."""
    return of(f"{name}{kind}", f"{name}Config", **{**COMMON, **READS, **values})


def writes(name: str, kind: str = "ForCausalLM", **values: object) -> Callable[[], nn.Module]:
    """A model that writes."""
    return of(f"{name}{kind}", f"{name}Config", **{**WRITES, **values})


READERS = {
    "bert": reads("Bert"),
    "roberta": reads("Roberta"),
    "electra": reads("Electra", embedding_size=W),
    "albert": reads("Albert", embedding_size=W, inner_group_num=1, num_hidden_groups=1),
    "distilbert": of(
        "DistilBertForSequenceClassification", "DistilBertConfig", dim=W, n_layers=LAYERS, n_heads=HEADS,
        hidden_dim=INNER, vocab_size=WORDS, max_position_embeddings=PLACES, num_labels=CLASSES,
    ),
    "gpt2_classifier": of(
        "GPT2ForSequenceClassification", "GPT2Config", n_embd=W, n_layer=LAYERS, n_head=HEADS, n_positions=PLACES,
        num_labels=CLASSES, **COMMON,
    ),
}  # fmt: skip
WRITERS = {
    "gpt2": of(
        "GPT2LMHeadModel", "GPT2Config", n_embd=W, n_layer=LAYERS, n_head=HEADS, n_positions=PLACES, **COMMON
    ),
    "gpt_neox": writes("GPTNeoX"),
    "opt": of(
        "OPTForCausalLM", "OPTConfig", ffn_dim=INNER, word_embed_proj_dim=W, hidden_size=W, num_hidden_layers=LAYERS,
        num_attention_heads=HEADS, max_position_embeddings=PLACES, attn_implementation="eager", **COMMON,
    ),
    "llama": writes("Llama", num_key_value_heads=HEADS),
    "llama_grouped": writes("Llama", num_key_value_heads=2),
    "mistral": writes("Mistral", num_key_value_heads=2, sliding_window=8),
    "qwen2": writes("Qwen2", num_key_value_heads=2),
    "gemma": writes("Gemma", num_key_value_heads=1, head_dim=8),
    "phi": writes("Phi", num_key_value_heads=HEADS),
    "mixtral": writes(
        "Mixtral", num_key_value_heads=2, num_local_experts=4, num_experts_per_tok=2, intermediate_size=48
    ),
    "mamba": of(
        "MambaForCausalLM", "MambaConfig", hidden_size=W, num_hidden_layers=LAYERS, state_size=8, conv_kernel=4,
        expand=2, time_step_rank=4, **COMMON,
    ),
}  # fmt: skip
TRANSLATORS = {
    "t5": of(
        "T5ForConditionalGeneration", "T5Config", d_model=W, d_kv=W // HEADS, d_ff=INNER, num_layers=LAYERS,
        num_heads=HEADS, decoder_start_token_id=0, feed_forward_proj="gated-gelu", tie_word_embeddings=False, **COMMON,
    ),
    "bart": of("BartForConditionalGeneration", "BartConfig", **BOTH),
    "marian": of("MarianMTModel", "MarianConfig", **BOTH, decoder_vocab_size=WORDS),
    "pegasus": of("PegasusForConditionalGeneration", "PegasusConfig", **BOTH),
}  # fmt: skip
LISTENERS = {
    "whisper": of(
        "WhisperForConditionalGeneration", "WhisperConfig",
        **{k: v for k, v in BOTH.items() if k != "max_position_embeddings"}, num_mel_bins=16,
        max_source_positions=12, max_target_positions=PLACES,
    ),
    "wav2vec2": of(
        "Wav2Vec2ForSequenceClassification", "Wav2Vec2Config", hidden_size=W, num_hidden_layers=LAYERS,
        num_attention_heads=HEADS, intermediate_size=INNER, conv_dim=(16, 16, 16), conv_stride=(4, 2, 2),
        conv_kernel=(8, 4, 4), num_conv_pos_embeddings=8, num_conv_pos_embedding_groups=2, classifier_proj_size=16,
        num_labels=CLASSES, vocab_size=WORDS, num_feat_extract_layers=3, mask_time_prob=0.0, layerdrop=0.0,
        apply_spec_augment=False,
    ),
}  # fmt: skip
