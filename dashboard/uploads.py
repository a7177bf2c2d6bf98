"""Files that visitors upload: kept under their checksum, so that a link to them works as long as this server does."""

from __future__ import annotations

import os
import re
import tempfile
from hashlib import sha256
from pathlib import Path

import platformdirs

from engine import InvalidInput, own_reference, shared_workload

FOLDER = "SECATEUR_UPLOADS"  # in the environment: where they are kept
MOST_BYTES = 4 * 2**30  # of all of them; the oldest go
WEIGHT_FILES, DATA_FILES = (".safetensors",), (".npz", ".csv")
NAME = re.compile(r"(?P<base>[^~]+)(~w(?P<w>[0-9a-f]{16}))?(~d(?P<d>[0-9a-f]{16}))?")


def folder() -> Path:
    """Where uploaded files are kept."""
    told = os.environ.get(FOLDER)
    return Path(told) if told else platformdirs.user_data_path("secateur") / "uploads"


def keep(name: str, content: bytes) -> Path:
    """Write an uploaded file under its checksum; only its suffix is taken from its name."""
    suffix = re.sub(r"[^a-z0-9.]", "", Path(name).suffix.lower())[:16]
    path = folder() / (sha256(content).hexdigest()[:16] + suffix)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:  # two visitors may send the same file
        file.write(content)
    os.replace(file.name, path)
    _make_room(path)
    return path


def _make_room(newest: Path) -> None:
    files = sorted((p for p in folder().iterdir() if p != newest), key=lambda p: p.stat().st_mtime)
    total = newest.stat().st_size + sum(p.stat().st_size for p in files)
    for path in files:
        if total <= MOST_BYTES:
            return
        total -= path.stat().st_size
        path.unlink(missing_ok=True)


def parts(name: str) -> tuple[str, str, str]:
    """The known model in a name, and the checksums of the weights and data that were uploaded for it, or ""."""
    found = NAME.fullmatch(name)
    return (found["base"], found["w"] or "", found["d"] or "") if found else (name, "", "")


def named(base: str, weights: str, data: str) -> str:
    """The name of a known model with uploaded weights, data, or both."""
    return base + (f"~w{weights}" if weights else "") + (f"~d{data}" if data else "")


def uploaded_reference(base: str, weights: str, data: str) -> str:
    """The reference of a known model with uploaded files. Raises InvalidInput where one is not here any more.

    base    the reference of the known model
    """
    return own_reference(base, _path(weights, WEIGHT_FILES), _path(data, DATA_FILES))


def _path(checksum: str, suffixes: tuple[str, ...]) -> Path | None:
    if not checksum:
        return None
    for suffix in suffixes:
        path = folder() / f"{checksum}{suffix}"
        if path.is_file():
            return path
    raise InvalidInput("the uploaded file must be on this server, got {got}: upload it again", got=checksum)


def take_in(base: str, name: str, content: bytes, old: tuple[str, str]) -> tuple[str, str]:
    """Keep an uploaded file for a model; the checksums of weights and data that the model then has.

    base    the reference of the known model
    old     the checksums that it had

    Raises InvalidInput with one sentence where the file cannot be what it should be; then it is not kept, unless it
    was here before, for another model.
    """
    before = set(folder().glob("*"))
    path = keep(name, content)
    is_data = path.suffix in DATA_FILES
    try:
        weights, data = _path(old[0], WEIGHT_FILES), _path(old[1], DATA_FILES)
        shared_workload(own_reference(base, weights, path) if is_data else own_reference(base, path, data))
    except InvalidInput as error:
        if path not in before:
            path.unlink(missing_ok=True)
        told = {key: _as_sent(value, path.name, name) for key, value in error.message.fields.items()}
        raise type(error)(error.message.key, **told) from error
    return (old[0], path.stem) if is_data else (path.stem, old[1])


def _as_sent(value: object, kept: str, sent: str) -> object:
    """A field of a sentence, with the name that the visitor knows in the place of the one it is kept under."""
    return value.replace(kept, Path(sent).name[:60]) if isinstance(value, str) else value
