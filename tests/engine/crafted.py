"""Files as nobody's library would write them."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping

import numpy as np
import torch
from safetensors.torch import save
from torch import Tensor, nn


class Net(nn.Module):
    """A convolution, a norm, a head, and a tie."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 3, 2, bias=False)
        self.norm = nn.BatchNorm2d(3)
        self.embed = nn.Embedding(5, 4, padding_idx=4)
        self.out = nn.Linear(4, 5)
        self.out.weight = self.embed.weight

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.conv(x)).mean() + self.out(self.embed(torch.arange(5)))


def net() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Net().eval()


def state(model: nn.Module | None = None) -> dict[str, Tensor]:
    """The state with each tensor of its own, as safetensors wants it."""
    return {name: t.detach().clone() for name, t in (model or net()).state_dict().items()}


def parts(content: bytes) -> tuple[dict[str, object], bytes]:
    """A .safetensors file as header and data."""
    length = int.from_bytes(content[:8], "little")
    return json.loads(content[8 : 8 + length]), content[8 + length :]


def joined(header: object, data: bytes = b"") -> bytes:
    """A .safetensors file of any header: text, bytes, or what JSON can say."""
    raw = header if isinstance(header, bytes) else str.encode(header if isinstance(header, str) else json.dumps(header))
    return len(raw).to_bytes(8, "little") + raw + data


def with_entry(name: str, **changed: object) -> bytes:
    """The net's file with other words in one entry of the header; None leaves a word out."""
    header, data = parts(save(state()))
    entry = dict(header[name], **changed)  # type: ignore[call-overload]
    header[name] = {word: value for word, value in entry.items() if value is not None}
    return joined(header, data)


def archive(arrays: Mapping[str, np.ndarray], packed: bool = False) -> bytes:
    stream = io.BytesIO()
    (np.savez_compressed if packed else np.savez)(stream, **arrays)
    return stream.getvalue()


def npy(descr: str, shape: str, data: bytes = b"", order: str = "False") -> bytes:
    """An .npy file whose header says these words."""
    text = f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + data
