"""What became of an export, file by file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar

FORMATS = ("safetensors", "onnx", "pt2", "script", "card")
TOLERANCES: Mapping[str, tuple[float, float]] = {  # absolute, and beside it relative to the output
    "safetensors": (1e-5, 1e-4), "pt2": (1e-5, 1e-4), "script": (1e-5, 1e-4), "onnx": (1e-4, 1e-3),
    "replay": (1e-5, 1e-4),
}  # fmt: skip


@dataclass(frozen=True)
class File:
    """One file of an export.

    kind         which format it belongs to; a script has two, rebuild.py is "script" and replay.py "replay"
    bytes        0 where it could not be written
    verified     whether a fresh process found answers and parameters as they must be; None where nothing was checked
    difference   the largest that was found between an answer and the expected one
    tolerance    absolute, and relative to the output
    batches, examples    at which sizes, on how many test examples
    parameters   how many a fresh process found
    reason       one sentence: why it was not written, not checked, or not as it must be
    needs        what it needs beside torch: names of packages or modules
    """

    kind: str
    file: str
    bytes: int = 0
    verified: bool | None = None
    difference: float | None = None
    tolerance: tuple[float, float] | None = None
    batches: tuple[int, ...] = ()
    examples: int = 0
    parameters: int | None = None
    reason: str = ""
    needs: tuple[str, ...] = ()

    @property
    def written(self) -> bool:
        """Whether it lies in the folder."""
        return self.bytes > 0

    @property
    def failed(self) -> bool:
        """Whether it was written and is not as it must be."""
        return self.written and self.verified is False

    def to_dict(self) -> dict[str, object]:
        """As plain data."""
        tolerance = None if self.tolerance is None else dict(zip(("absolute", "relative"), self.tolerance, strict=True))
        return {
            "format": self.kind, "file": self.file, "bytes": self.bytes, "written": self.written,
            "verified": self.verified, "largest_difference": self.difference, "tolerance": tolerance,
            "batches": list(self.batches), "examples": self.examples, "parameters": self.parameters,
            "reason": self.reason, "needs": list(self.needs),
        }  # fmt: skip

    def found(self, **what: object) -> File:
        """The same with what the check found."""
        return replace(self, **what)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Exported:
    """A folder with a point in it.

    edits    what the recipe did to the original, module by module
    """

    formats: ClassVar[tuple[str, ...]] = FORMATS

    model: str
    recipe: list[list[object]]
    folder: Path
    files: tuple[File, ...] = ()
    edits: tuple[str, ...] = field(default=())

    @property
    def verified(self) -> bool:
        """Whether no file that was written is other than it must be."""
        return not any(file.failed for file in self.files)

    def to_dict(self) -> dict[str, object]:
        """As plain data: `export --json` prints it."""
        return {
            "model": self.model, "recipe": self.recipe, "folder": str(self.folder), "verified": self.verified,
            "files": [file.to_dict() for file in self.files], "edits": list(self.edits),
        }  # fmt: skip
