"""Shipped files: found beside this package, and checked before use."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from typing import TypeVar

from safetensors.torch import load_file
from torch import nn

HERE = Path(__file__).parent
Net = TypeVar("Net", bound=nn.Module)


def sha256(path: Path) -> str:
    """The checksum of a file, in hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


@cache
def data_file(name: str) -> Path:
    """The path of a shipped data file, once its bytes match the checksum that stands beside it.

    Raises OSError where the file is missing or is not the one that was shipped.
    """
    path = HERE / "data" / name
    lines = (path.parent / "SHA256SUMS").read_text("utf-8").splitlines()
    sums = {shipped: checksum for checksum, shipped in (line.split(maxsplit=1) for line in lines)}
    if sha256(path) != sums[path.name]:
        raise OSError(f"{path} must be the file that was shipped, but its checksum differs: fetch it again")
    return path


def load_weights(net: Net, name: str) -> Net:
    """The net with the weights in weights/NAME.safetensors, read without pickle."""
    net.load_state_dict(load_file(HERE / "weights" / f"{name}.safetensors"))
    return net
