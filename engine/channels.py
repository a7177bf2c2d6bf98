"""A line between two processes that share a folder."""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from engine.method import Channel

REPORT_EVERY_S = 0.05
LOOK_EVERY_S = 0.02


@dataclass
class FolderChannel(Channel):
    """Partial figures, a wish to stop and one to end with what there is, as small files.

    It pickles, it survives the death of either side, and it needs nothing of the executor in between: an event of
    multiprocessing cannot be submitted to a pool.

    path    a file name without ending, in a folder that both sides see
    """

    path: Path
    _reported: float = field(default=-math.inf, repr=False)  # the first report goes out at once
    _looked: float = field(default=0.0, repr=False)
    _stop: bool = field(default=False, repr=False)
    _enough: bool = field(default=False, repr=False)

    def report(self, partial: Mapping[str, object], at_once: bool = False) -> None:
        """Send partial figures; more than twenty a second are thinned, but not what is sent `at_once`."""
        if not self.due() and not at_once:
            return
        self._reported = time.monotonic()
        fresh = self.path.with_suffix(".new")
        fresh.write_text(json.dumps(dict(partial)), "utf-8")
        os.replace(fresh, self.path.with_suffix(".partial"))

    def due(self) -> bool:
        """Whether the last report is old enough."""
        return time.monotonic() - self._reported >= REPORT_EVERY_S

    def cancelled(self) -> bool:
        """Whether somebody asked to stop; looked up fifty times a second at most."""
        self._look()
        return self._stop

    def enough(self) -> bool:
        """Whether somebody wants what there is so far; looked up as often."""
        self._look()
        return self._enough

    def _look(self) -> None:
        now = time.monotonic()
        if now - self._looked >= LOOK_EVERY_S:
            self._looked = now
            self._stop = self._stop or self.path.with_suffix(".stop").exists()
            self._enough = self._enough or self.path.with_suffix(".enough").exists()

    def partial(self) -> dict[str, object]:
        """The figures that were sent last, on the other side."""
        try:
            return dict(json.loads(self.path.with_suffix(".partial").read_text("utf-8")))
        except (OSError, ValueError):
            return {}

    def cancel(self) -> None:
        """Ask the other side to stop."""
        self.path.with_suffix(".stop").touch()

    @property
    def stopping(self) -> bool:
        """Whether the other side has been asked to stop."""
        return self.path.with_suffix(".stop").exists()

    def finish(self) -> None:
        """Ask the other side to end a training with what there is so far."""
        self.path.with_suffix(".enough").touch()

    def clear(self) -> None:
        """Remove what the line left in the folder."""
        for ending in (".new", ".partial", ".stop", ".enough"):
            self.path.with_suffix(ending).unlink(missing_ok=True)


@dataclass
class Telling(Channel):
    """Another channel, to which each report says again what was said before.

    told    whether anything is said: the figures of the original are not those that somebody waits for
    """

    line: Channel
    told: bool = True
    known: dict[str, object] = field(default_factory=dict)

    def report(self, partial: Mapping[str, object], at_once: bool = False) -> None:
        """Send partial figures, beside those sent before."""
        self.known.update(partial)
        if self.told:
            self.line.report(self.known, at_once)

    def due(self) -> bool:
        """Whether figures sent now would be read."""
        return self.told and self.line.due()

    def cancelled(self) -> bool:
        """Whether somebody asked to stop."""
        return self.line.cancelled()

    def enough(self) -> bool:
        """Whether somebody wants what there is so far."""
        return self.line.enough()
