"""torch's own attention taken apart into four linear layers, and put together again."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from engine.edit.surgery import set_parameter, tied

PARTS = ("query", "key", "value")
OPTIONS = ("key_padding_mask", "need_weights", "attn_mask", "average_attn_weights", "is_causal")  # by place


class OpenAttention(nn.MultiheadAttention):
    """nn.MultiheadAttention with its projections as layers `query`, `key`, `value` and `out`, which hooks can see.

    closed    the module that it stands for, whose other settings it has
    """

    def __init__(self, closed: nn.MultiheadAttention) -> None:
        nn.Module.__init__(self)
        for name, value in vars(closed).items():
            self.__dict__[name] = value.copy() if isinstance(value, dict | set) else value
        self._closed = (closed,)  # in a tuple: it is no layer of this one
        weights = _weights(closed)
        biases = (None,) * 3 if closed.in_proj_bias is None else closed.in_proj_bias.chunk(3)
        for name, weight, bias in zip(PARTS, weights, biases, strict=True):
            setattr(self, name, _linear(weight, bias))
        self.out = _linear(closed.out_proj.weight, closed.out_proj.bias)

    def forward(
        self, query: Tensor, key: Tensor, value: Tensor, *places: Any, **names: Any
    ) -> tuple[Tensor, Tensor | None]:
        """What the closed module gives, with the same options."""
        options = dict(zip(OPTIONS, places, strict=False)) | names
        turned = self.batch_first and query.dim() == 3
        projected = [getattr(self, name)(x) for name, x in zip(PARTS, (query, key, value), strict=True)]
        q, k, v = (x.transpose(0, 1) for x in projected) if turned else projected
        one = torch.eye(self.embed_dim, dtype=q.dtype, device=q.device)
        mixed, weights = F.multi_head_attention_forward(
            q, k, v, self.embed_dim, self.num_heads, one.repeat(3, 1), None, self.bias_k, self.bias_v,
            self.add_zero_attn, 0.0, one, None, training=False, **options,
        )  # fmt: skip
        return self.out(mixed.transpose(0, 1) if turned else mixed), weights

    def close(self) -> nn.MultiheadAttention:
        """The closed module, with the weights that the layers have now."""
        closed = self._closed[0]
        layers = [cast("nn.Linear", getattr(self, name)) for name in PARTS]
        if closed.in_proj_weight is not None:
            set_parameter(closed, "in_proj_weight", torch.cat([layer.weight for layer in layers]))
        else:
            for name, layer in zip(("q_proj_weight", "k_proj_weight", "v_proj_weight"), layers, strict=True):
                set_parameter(closed, name, layer.weight)
        if closed.in_proj_bias is not None:
            set_parameter(closed, "in_proj_bias", torch.cat([cast("Tensor", layer.bias) for layer in layers]))
        for name in ("weight", "bias"):
            if getattr(closed.out_proj, name) is not None:
                set_parameter(closed.out_proj, name, getattr(self.out, name))
        return closed


def open_attention(model: nn.Module) -> nn.Module:
    """The model, which the caller owns, with every attention module of torch's taken apart; tied ones stay."""
    twice = tied(model)
    for parent, name, child in _children(model):
        if type(child) is nn.MultiheadAttention and not any(id(p) in twice for p in child.parameters()):
            setattr(parent, name, OpenAttention(child))
    return model


def close_attention(model: nn.Module) -> nn.Module:
    """The model with what `open_attention` took apart put together again."""
    for parent, name, child in _children(model):
        if isinstance(child, OpenAttention):
            setattr(parent, name, child.close())
    return model


def _children(model: nn.Module) -> list[tuple[nn.Module, str, nn.Module]]:
    return [(parent, name, child) for parent in model.modules() for name, child in parent.named_children()]


def _weights(closed: nn.MultiheadAttention) -> tuple[Tensor, ...]:
    if closed.in_proj_weight is not None:
        return tuple(closed.in_proj_weight.chunk(3))
    return closed.q_proj_weight, closed.k_proj_weight, closed.v_proj_weight


def _linear(weight: Tensor, bias: Tensor | None) -> nn.Linear:
    with torch.device("meta"):
        layer = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None)
    layer.weight = nn.Parameter(weight.detach(), requires_grad=False)
    if bias is not None:
        layer.bias = nn.Parameter(bias.detach(), requires_grad=False)
    return layer
