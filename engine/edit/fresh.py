"""A model with newly drawn weights."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from engine.edit.surgery import own_tensors, zero_masks

SPREAD = 0.02  # of tokens, positions and the like, as BERT and vision transformers draw them
Draw = Callable[[], object]


@torch.no_grad()
def draw_anew(model: nn.Module, seed: int, keep_zeros: bool) -> str:
    """Give a model newly drawn weights, in the shapes that it has now, and statistics of normalisation to match.

    Each module draws its own by `reset_parameters`, then a model of transformers, or who else has `_init_weights`, for
    those in it. What neither touches: tensors of two or more dimensions are normal with a standard deviation of 0.02,
    biases zero, scales of a normalisation one.

    keep_zeros    weights of two or more dimensions that are zero stay zero

    Gives the path of a parameter that none of this covers, where there is one, else "".
    """
    own_tensors(model)
    masks = zero_masks(model) if keep_zeros else {}
    for parameter in model.parameters():
        parameter.fill_(torch.nan)  # so that what nobody draws is seen
    with torch.random.fork_rng([p.device for p in model.parameters() if p.device.type == "cuda"][:1]):
        torch.manual_seed(1_000_003 * (seed + 1))  # a small seed may be what the original was drawn by
        for draw in _ways(model):
            draw()
        left = [(path, p) for path, p in model.named_parameters() if not bool(p.isfinite().all())]
        unknown = [path for path, parameter in left if not _by_kind(model, path, parameter)]
    for parameter, mask in masks.items():
        parameter.mul_(mask)
    return unknown[0] if unknown else ""


def _ways(model: nn.Module) -> list[Draw]:
    """What draws the weights, those inside before those around them."""
    found: list[Draw] = []
    for module in reversed(list(model.modules())):
        own = getattr(module, "reset_parameters", None) or getattr(module, "_reset_parameters", None)
        if callable(own):
            found.append(own)
    owners = {sub: root for root in model.modules() if hasattr(root, "_init_weights") for sub in root.modules()}
    return found + [_given(owner, module) for module, owner in reversed(owners.items())]


def _given(owner: nn.Module, module: nn.Module) -> Draw:
    def draw() -> None:
        try:
            owner._init_weights(module)  # type: ignore[operator]
        except TypeError:  # a function of the same name that takes no module
            return

    return draw


def _by_kind(model: nn.Module, path: str, parameter: Tensor) -> bool:
    """Draw a parameter by what it is; whether that is known."""
    where, _, name = path.rpartition(".")
    if parameter.dim() >= 2:
        parameter.normal_(0, SPREAD)
    elif name.endswith("bias"):
        parameter.zero_()
    elif "norm" in type(model.get_submodule(where)).__name__.lower():
        parameter.fill_(1)
    else:
        return False
    return True
