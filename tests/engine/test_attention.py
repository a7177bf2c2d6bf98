"""torch's own attention, taken apart, gives what it gave."""

from __future__ import annotations

import copy
import itertools

import pytest
import torch
from torch import Tensor, nn

from engine.edit.attention import close_attention, open_attention

KINDS = list(itertools.product((True, False), (True, False), (True, False), (True, False), (None, 6)))
N, QUERIES, KEYS, WIDTH, HEADS = 3, 5, 4, 8, 2


def made(batch_first: bool, bias: bool, constant: bool, zero: bool, width: int | None) -> nn.Sequential:
    options = {"batch_first": batch_first, "bias": bias, "add_bias_kv": constant, "add_zero_attn": zero}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = nn.Sequential(nn.MultiheadAttention(WIDTH, HEADS, kdim=width, vdim=width, **options)).eval()
        for parameter in net.parameters():
            nn.init.normal_(parameter)
    return net


def masks() -> list[dict[str, Tensor]]:
    late = torch.zeros(N, KEYS, dtype=torch.bool)
    late[:, -1] = True
    ahead = torch.triu(torch.ones(QUERIES, KEYS, dtype=torch.bool), 1)
    each = torch.randn(N * HEADS, QUERIES, KEYS)
    return [
        {}, {"key_padding_mask": late}, {"attn_mask": ahead}, {"attn_mask": each},
        {"key_padding_mask": late, "attn_mask": ahead}, {"key_padding_mask": late.float(), "attn_mask": each},
    ]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS, ids=str)
@torch.no_grad()
def test_open_attention_gives_what_the_closed_one_gives(kind: tuple[bool, bool, bool, bool, int | None]) -> None:
    closed = made(*kind)
    opened = open_attention(copy.deepcopy(closed))
    query, key = torch.randn(N, QUERIES, WIDTH), torch.randn(N, KEYS, kind[4] or WIDTH)
    if not kind[0]:
        query, key = query.transpose(0, 1), key.transpose(0, 1)
    for mask, (weights, mean) in itertools.product(masks(), [(True, True), (True, False), (False, True)]):
        options = {**mask, "need_weights": weights, "average_attn_weights": mean}
        wanted, given = closed[0](query, key, key, **options), opened[0](query, key, key, **options)
        torch.testing.assert_close(given, wanted, atol=1e-5, rtol=1e-4)
    one = (query[0], key[0]) if kind[0] else (query[:, 0], key[:, 0])
    torch.testing.assert_close(opened[0](one[0], one[1], one[1]), closed[0](one[0], one[1], one[1]))
    again = close_attention(opened)
    assert type(again[0]) is nn.MultiheadAttention
    for name, tensor in closed.state_dict().items():
        assert torch.equal(again.state_dict()[name], tensor)
