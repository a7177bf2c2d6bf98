"""Plotly's own script, put beside ours at the first start so that nothing is fetched from outside or committed."""

from __future__ import annotations

import os
import shutil
import tempfile
from importlib.metadata import version
from importlib.resources import as_file, files
from pathlib import Path

FRONTEND = Path(__file__).parent / "frontend"


class BundleError(RuntimeError):
    """Plotly's script could not be put where the browser is served from."""


def ensure_bundle(folder: Path = FRONTEND) -> Path:
    """Return the script of the installed Plotly in `folder`, copying it there where it is not."""
    # The version is in the name, so no browser shows an old copy out of its cache.
    target = folder / f"plotly-{version('plotly')}.min.js"
    with as_file(files("plotly") / "package_data" / "plotly.min.js") as source:
        if not _is_copy(target, source):
            _copy(source, target)
    return target


def _is_copy(target: Path, source: Path) -> bool:
    try:
        return target.stat().st_size == source.stat().st_size
    except FileNotFoundError:
        return False


def _copy(source: Path, target: Path) -> None:
    # Several servers may start at once: each writes a file of its own and moves it into place in one step.
    try:
        handle, name = tempfile.mkstemp(dir=target.parent, prefix="plotly-", suffix=".part.js")
        os.close(handle)
        part = Path(name)
        try:
            shutil.copy(source, part)  # with its mode: mkstemp's own would hide it from other users
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        if _is_copy(target, source):  # another process was faster, and its file is in use (Windows)
            return
        message = (
            f"Plotly's script could not be copied into {target.parent} ({error.strerror or error}): "
            "let this user write there, or start Secateur once as a user who may."
        )
        raise BundleError(message) from error
    _remove_others(target)


def _remove_others(target: Path) -> None:
    for other in target.parent.glob("plotly-*.min.js"):
        if other != target:
            try:
                other.unlink(missing_ok=True)
            except OSError:
                continue  # in use by another server; whoever copies next removes it
