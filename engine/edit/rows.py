"""What a layer is given and gives, as rows of a matrix: a patch of the input and the outputs at the same place."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from engine.examples import Inputs, named

PLAIN = (nn.Conv1d, nn.Conv2d, nn.Conv3d)


def row_count(layer: nn.Module, outputs: Tensor) -> int:
    """How many rows these outputs hold: every example, every place."""
    return outputs.numel() // max(outputs.shape[_axis(layer)], 1)


def some_rows(n: int, wanted: int, seed: int, real: Tensor | None = None) -> Tensor:
    """Which of n rows are looked at: all of them, or `wanted` drawn by the seed, in order.

    real    which of the rows hold something, where there are as many of them
    """
    rows = torch.arange(n)
    if real is not None and real.numel() == n and bool(real.any()):
        rows = real.flatten().cpu().nonzero().flatten()
    if len(rows) <= wanted:
        return rows
    return rows[torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed))[:wanted].sort().values]


def real_places(inputs: Inputs) -> Tensor | None:
    """Which places of a batch of texts hold something, True or False for each of (n, length): None where all do.

    By `attention_mask`, where the inputs have one; else what repeats the last token up to the end of an example is
    taken for padding. What a model gives there is nobody's, and a fit to it is a worse fit elsewhere.
    """
    found = named(inputs)
    if "attention_mask" in found and found["attention_mask"].dim() == 2:
        return found["attention_mask"].bool()
    tokens = next(iter(found.values()))
    if len(found) > 1 or tokens.dim() != 2 or tokens.is_floating_point():
        return None
    last = (tokens == tokens[:, -1:]).flip(1).cumprod(1).flip(1)  # 1 in the run that ends the example
    ends = last.sum(1, keepdim=True) > 1  # a run of one is a token
    return ~(last.bool() & ends)


def outputs_at(layer: nn.Module, outputs: Tensor, rows: Tensor) -> Tensor:
    """The outputs in these rows: (rows, outputs)."""
    last = outputs.movedim(_axis(layer), -1)
    return last.reshape(-1, last.shape[-1])[rows.to(outputs.device)]


def inputs_at(layer: nn.Module, inputs: Tensor, rows: Tensor) -> Tensor:
    """What the layer's weight is multiplied with in these rows: (rows, groups, inputs of a group).

    inputs    (..., inputs) for a linear layer, else (n, channels, ...)
    """
    rows = rows.to(inputs.device)
    if not isinstance(layer, PLAIN):
        return inputs.reshape(-1, inputs.shape[-1])[rows][:, None]
    return _patches(layer, inputs, rows)


def _axis(layer: nn.Module) -> int:
    first = layer[0] if isinstance(layer, nn.Sequential) else layer  # two factors
    return 1 if isinstance(first, PLAIN) else -1


def _patches(conv: nn.Conv1d | nn.Conv2d | nn.Conv3d, inputs: Tensor, rows: Tensor) -> Tensor:
    """By index, and of these rows alone: all patches of a batch at once would be kernel times as large as the batch."""
    mode = "constant" if conv.padding_mode == "zeros" else conv.padding_mode
    padded = F.pad(inputs, list(cast("Any", conv)._reversed_padding_repeated_twice), mode=mode)
    kernel, stride, dilation = conv.kernel_size, conv.stride, conv.dilation
    sizes = padded.shape[2:]
    places = [(n - d * (k - 1) - 1) // s + 1 for n, k, s, d in zip(sizes, kernel, stride, dilation, strict=True)]
    flat = torch.zeros(len(rows), 1, dtype=torch.long, device=rows.device)  # rows, places in the kernel
    rest, step = rows, 1
    for axis in reversed(range(len(sizes))):  # the last axis runs fastest, in the rows and in memory
        first = (rest % places[axis]) * stride[axis]
        offsets = torch.arange(kernel[axis], device=rows.device) * dilation[axis]
        along = (first[:, None] + offsets) * step  # rows, kernel along this axis
        flat = (along[:, :, None] + flat[:, None, :]).flatten(1)
        rest, step = rest // places[axis], step * sizes[axis]
    last = padded.flatten(2).transpose(1, 2).reshape(-1, padded.shape[1])  # channels last: whole runs are copied
    picked = last.index_select(0, (rest[:, None] * step + flat).flatten())
    turned = picked.view(len(rows), -1, padded.shape[1]).transpose(1, 2)  # rows, channels, kernel
    return turned.reshape(len(rows), conv.groups, -1)  # rows, groups, channels of a group · kernel
