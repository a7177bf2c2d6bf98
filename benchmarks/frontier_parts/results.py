"""The results file: every run with its figures, kept as soon as it is done."""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from engine import Protocol

FILE = Path(__file__).parents[1] / "results" / "frontier.json"
Row = dict[str, Any]


class Results:
    """Rows by part. A row's key says which run it is; a run that has a row is not done again.

    path    where they are kept; None keeps them in memory
    tell    is given each new row
    """

    def __init__(self, path: Path | None, tell: Callable[[str], None]) -> None:
        self.path, self.tell = path, tell
        self._parts: dict[str, list[Row]] = {}
        if path is not None and path.exists():
            self._parts = json.loads(path.read_text("utf-8"))

    def rows(self, part: str, **key: object) -> list[Row]:
        """The rows of a part that have these figures."""
        return [row for row in self._parts.get(part, []) if all(row.get(name) == value for name, value in key.items())]

    def forget(self, part: str, keep: Callable[[Row], bool]) -> None:
        """Drop the rows of a part that are not to be kept."""
        self._parts[part] = [row for row in self._parts.get(part, []) if keep(row)]

    def done(self, part: str, key: Row, measure: Callable[[], Row]) -> Row:
        """The row of that key: the one that is there, or what is measured now."""
        if found := self.rows(part, **key):
            return found[0]
        row = {**key, **measure(), "machine": machine(), "date": time.strftime("%Y-%m-%d")}
        rows = self._parts.setdefault(part, [])
        rows.append(row)
        rows.sort(key=lambda row: [str(row.get(name)) for name in key])
        self.tell(f"{part}: " + ", ".join(f"{k} {v}" for k, v in row.items() if k not in ("machine", "date")))
        self._keep()
        return row

    def _keep(self) -> None:
        if self.path is None:
            return
        self.path.parent.mkdir(exist_ok=True)
        parts = []
        for part, rows in sorted(self._parts.items()):
            lines = ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
            parts.append(f"{json.dumps(part)}: [\n{lines}\n]")
        beside = self.path.with_suffix(".part")
        beside.write_text("{\n" + ",\n".join(parts) + "\n}\n", "utf-8")
        beside.replace(self.path)  # at once, so that a run that is cut off leaves a whole file


def machine() -> str:
    """Where a row was measured."""
    protocol = Protocol.here()
    return f"{protocol.device_name}, {protocol.threads} threads, torch {torch.__version__}, {platform.system()}"
