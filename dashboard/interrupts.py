"""Ctrl-C while a model is trained."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import FrameType

from engine import Channel

SAID = "secateur: the training ends with what it has; once more leaves"


class Interrupts(Channel):
    """Ends a training with what it has at the first Ctrl-C; anywhere else, and at the second, it leaves as ever."""

    def __init__(self) -> None:
        self._trains = self._enough = False

    def report(self, partial: Mapping[str, object], at_once: bool = False) -> None:
        """Learn whether a model is trained just now."""
        self._trains = "loss" in partial and partial["step"] != partial["steps"]

    def enough(self) -> bool:
        """Whether Ctrl-C was pressed during a training."""
        return self._enough

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Within it Ctrl-C is heard here."""
        if threading.current_thread() is not threading.main_thread():  # only there a signal can be caught
            yield
            return
        before = signal.signal(signal.SIGINT, self._pressed)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)

    def _pressed(self, _: int, __: FrameType | None) -> None:
        if self._enough or not self._trains:
            raise KeyboardInterrupt
        self._enough = True
        sys.stderr.write(f"{SAID}\n")
