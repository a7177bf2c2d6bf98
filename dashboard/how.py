"""How the reader wants to have it measured: what differs from this server's habit."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from typing import cast

import torch

from engine import InvalidInput, Protocol

MOST_BATCH = 1024  # that a visitor may ask a server for


def most_threads() -> int:
    """How many cores this server has."""
    return os.cpu_count() or 1


def devices() -> list[str]:
    """Where this server can measure."""
    return ["cpu", *(f"cuda:{i}" for i in range(torch.cuda.device_count()))]


@dataclass(frozen=True)
class How:
    """Part of a protocol; 0 and "" stand for the server's habit.

    batch      a batch size that is timed beside 1 and 64
    threads    of torch, inside one operator
    dtype      of the numbers that both models calculate with
    device     where both run
    """

    batch: int = 0
    threads: int = 0
    dtype: str = ""
    device: str = ""

    def to_dict(self) -> dict[str, object]:
        """As plain data: what is asked for, and nothing else."""
        return {name: value for name, value in asdict(self).items() if value}

    @staticmethod
    def of(plain: object) -> How:
        """What `to_dict` gave. Raises InvalidInput or UnknownName where it cannot be measured so."""
        if not isinstance(plain, dict) or not set(plain) <= set(asdict(How())):
            key = "how it is measured must be batch, threads, dtype and device, got {got}"
            raise InvalidInput(key, got=str(plain)[:60].strip())
        if any(type(value) is not type(asdict(How())[name]) for name, value in plain.items()):
            raise InvalidInput("batch and threads must be whole numbers, dtype and device words, got {got}", got=plain)
        made = How(**cast("dict[str, int]", plain))  # type: ignore[arg-type]
        for name, most in (("batch", MOST_BATCH), ("threads", most_threads())):
            if getattr(made, name) > most:
                key = "{name} must be a whole number from 1 to {most}, got {got}"
                raise InvalidInput(key, name=name, most=most, got=getattr(made, name))
        made.protocol()
        return made

    def protocol(self) -> Protocol:
        """The protocol on this server. Raises InvalidInput or UnknownName."""
        return Protocol.here(self.device or None, self.batch or None, self.threads or None, self.dtype)
