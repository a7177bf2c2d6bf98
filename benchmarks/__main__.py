"""Run every benchmark in this folder, or those named: `python -m benchmarks [NAME ...]`."""

from __future__ import annotations

import importlib
import pkgutil
import platform
import sys

import torch

import benchmarks
from engine import Protocol


def main(names: list[str]) -> None:
    """Print the machine, then each benchmark's rows."""
    protocol = Protocol.here()
    print(f"{platform.platform()}, {protocol.device_name}, {protocol.threads} threads, torch {torch.__version__}\n")
    found = [i.name for i in pkgutil.iter_modules(benchmarks.__path__) if not (i.name.startswith("_") or i.ispkg)]
    for name in names or found:
        module = importlib.import_module(f"benchmarks.{name}")
        print(f"## {name}\n{(module.__doc__ or '').strip()}\n")
        for row in module.run():
            print(row, flush=True)
        print()


if __name__ == "__main__":
    main(sys.argv[1:])
