"""Where tests run: what needs CUDA is parametrised over these, so that without CUDA it is not collected at all."""

from __future__ import annotations

import torch

CUDA = torch.cuda.is_available()
DEVICES: tuple[str, ...] = ("cpu", "cuda") if CUDA else ("cpu",)
