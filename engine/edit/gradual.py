"""Weights that go little by little while the others are trained."""

from __future__ import annotations

import torch
from torch import nn

from engine.edit.scores import magnitude_masks
from engine.edit.surgery import weights
from engine.edit.training import Masks


class Gradual:
    """Which weights stay zero from a step on: the smallest of the whole model, and those that are zero already.

    amount    the share of the weights that is zero in the end, 0 to 1
    steps     of the training, whose last fifth makes no more zeros
    every     so many steps more weights go

    Source: Zhu and Gupta, To prune, or not to prune, arXiv 1710.01878.
    """

    def __init__(self, amount: float, steps: int, every: int) -> None:
        self.amount, self.every = amount, every
        self.last = steps - -(-steps // 5)

    def share(self, step: int) -> float:
        """amount · (1 − (1 − t / T)³) after step t, T being the last one at which weights go; where that is the
        start, all go at once.
        """
        left = 1 - step / self.last if self.last else 0.0
        return self.amount * (1 - left**3)

    @torch.no_grad()
    def __call__(self, model: nn.Module, step: int) -> Masks | None:
        """1 where a weight stays, else 0; None where nothing new goes after this step."""
        if step > self.last or (step % self.every and step < self.last):
            return None
        found = [parameter for _, parameter in weights(model)]
        masks = magnitude_masks([p.detach() for p in found], self.share(step))
        return {p: (mask & (p != 0)).to(p.dtype) for p, mask in zip(found, masks, strict=True)}
