"""torch's own attention taken apart into four linear layers, and put together again."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from engine.edit.surgery import set_parameter, tied

PARTS = ("query", "key", "value")
CLOSED = ("in_proj_weight", "in_proj_bias", "q_proj_weight", "k_proj_weight", "v_proj_weight")
OPTIONS = ("key_padding_mask", "need_weights", "attn_mask", "average_attn_weights", "is_causal")  # by place


class OpenAttention(nn.MultiheadAttention):
    """nn.MultiheadAttention with its projections as layers `query`, `key`, `value` and `out`, which hooks can see.

    closed    the module that it stands for, whose other settings it has
    """

    def __init__(self, closed: nn.MultiheadAttention) -> None:
        nn.Module.__init__(self)
        for name, value in vars(closed).items():
            self.__dict__[name] = value.copy() if isinstance(value, dict | set) else value
        self._closed: tuple[nn.MultiheadAttention, ...] = (closed,)  # in a tuple: it is no layer of this one
        flag = closed.out_proj.weight.requires_grad
        biases = (None,) * 3 if closed.in_proj_bias is None else closed.in_proj_bias.chunk(3)
        for name, weight, bias in zip(PARTS, _weights(closed), biases, strict=True):
            setattr(self, name, _linear(weight, bias, flag))
        self.out = _linear(closed.out_proj.weight, closed.out_proj.bias, flag)

    def forward(
        self, query: Tensor, key: Tensor, value: Tensor, *places: Any, **names: Any
    ) -> tuple[Tensor, Tensor | None]:
        """What the closed module gives, with the same options."""
        options = dict(zip(OPTIONS, places, strict=False)) | names
        batched, turned = query.dim() == 3, query.dim() == 3 and not self.batch_first
        projected = [getattr(self, name)(x) for name, x in zip(PARTS, (query, key, value), strict=True)]
        if turned:
            projected = [x.transpose(0, 1) for x in projected]
        q, k, v = (self._heads(x if batched else x[None]) for x in projected)  # n, heads, length, width of a head
        k, v, mask = self._longer(k, v, _mask(options, q, k))
        mixed, weights = self._mix(q, k, v, mask, options.get("need_weights", True))
        mixed = mixed.transpose(1, 2).flatten(2)
        mixed = mixed.transpose(0, 1) if turned else mixed if batched else mixed[0]
        if weights is not None:
            weights = weights.mean(1) if options.get("average_attn_weights", True) else weights
            weights = weights if batched else weights[0]
        return self.out(mixed), weights

    def _heads(self, x: Tensor) -> Tensor:
        apart: Tensor = x.unflatten(2, (self.num_heads, -1))
        return apart.transpose(1, 2)

    def _longer(self, k: Tensor, v: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor, Tensor | None]:
        """Keys and values with the constant one, and the zero, that the module adds behind the last."""
        for constants in ((self.bias_k, self.bias_v), (0.0, 0.0) if self.add_zero_attn else (None, None)):
            if constants[0] is None:
                continue
            shape = (*k.shape[:2], 1, k.shape[3])
            more = [
                self._heads(one).expand(shape) if isinstance(one, Tensor) else k.new_full(shape, cast("float", one))
                for one in constants
            ]
            k, v = (torch.cat(pair, dim=2) for pair in zip((k, v), more, strict=True))
            mask = None if mask is None else F.pad(mask, (0, 1))
        return k, v, mask

    def _mix(
        self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, need_weights: bool
    ) -> tuple[Tensor, Tensor | None]:
        dropout = self.dropout if self.training else 0.0
        if not need_weights:
            return F.scaled_dot_product_attention(q, k, v, attn_mask=mask, dropout_p=dropout), None
        scores = q @ k.transpose(2, 3) / math.sqrt(q.shape[3])
        weights = torch.softmax(scores if mask is None else scores + mask, dim=3)
        weights = F.dropout(weights, dropout) if dropout else weights
        return weights @ v, weights

    def close(self) -> nn.MultiheadAttention:
        """The closed module, with the weights that the layers have now; itself, once it stays open."""
        if not self._closed:
            return self
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

    def _reset_parameters(self) -> None:
        """Draw anew what stands in it itself; its layers draw their own."""
        for constant in (self.bias_k, self.bias_v):
            if constant is not None:
                nn.init.xavier_normal_(constant)

    @property
    def lost_heads(self) -> bool:
        """Whether it has fewer heads than the closed module."""
        return bool(self._closed) and cast("nn.Linear", self.query).out_features < self._closed[0].embed_dim

    def stay_open(self) -> None:
        """Let go of the closed module and its weights: with fewer heads there is none that it could stand for."""
        self._closed = ()
        for name in CLOSED:
            self._parameters[name] = None
        self._modules.pop("out_proj", None)


def _mask(options: dict[str, Any], q: Tensor, k: Tensor) -> Tensor | None:
    """Both masks as one, to be added to the scores: (n, 1 or heads, queries or 1, keys)."""
    found = None  # len() of a tensor would tie an exported graph to one batch size
    for name, shape in (("attn_mask", (-1, q.shape[1])), ("key_padding_mask", (k.shape[0], 1, 1))):
        mask = options.get(name)
        if mask is None:
            continue
        if mask.dtype == torch.bool:
            mask = torch.zeros(mask.shape, dtype=q.dtype, device=q.device).masked_fill(mask, -math.inf)
        if name == "key_padding_mask":
            mask = mask.reshape(*shape, k.shape[2])
        elif mask.dim() == 3:
            mask = mask.unflatten(0, shape)
        found = mask.to(q) if found is None else found + mask.to(q)
    return found


def open_attention(model: nn.Module) -> nn.Module:
    """The model, which the caller owns, with every attention module of torch's taken apart; tied ones stay."""
    twice = tied(model)
    for parent, name, child in _children(model):
        if type(child) is nn.MultiheadAttention and not any(id(p) in twice for p in child.parameters()):
            setattr(parent, name, OpenAttention(child))
    return model


def keep_open(model: nn.Module) -> nn.Module:
    """The model, in which attention that lost heads stays apart, and the rest is put together again."""
    for module in model.modules():
        if isinstance(module, OpenAttention) and module.lost_heads:
            module.stay_open()
    return close_attention(model)


def close_attention(model: nn.Module) -> nn.Module:
    """The model with what `open_attention` took apart put together again, but for what stays apart."""
    for parent, name, child in _children(model):
        if isinstance(child, OpenAttention):
            setattr(parent, name, child.close())
    return model


@contextmanager
def slowly() -> Iterator[None]:
    """Without the short cut by which torch's own layers read the weights of their parts past them."""
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)


def _children(model: nn.Module) -> list[tuple[nn.Module, str, nn.Module]]:
    return [(parent, name, child) for parent in model.modules() for name, child in parent.named_children()]


def _weights(closed: nn.MultiheadAttention) -> tuple[Tensor, ...]:
    if closed.in_proj_weight is not None:
        return tuple(closed.in_proj_weight.chunk(3))
    return closed.q_proj_weight, closed.k_proj_weight, closed.v_proj_weight


def _linear(weight: Tensor, bias: Tensor | None, flag: bool) -> nn.Linear:
    with torch.device("meta"):
        layer = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None)
    layer.weight = nn.Parameter(weight.detach(), flag)
    if bias is not None:
        layer.bias = nn.Parameter(bias.detach(), flag)
    return layer
