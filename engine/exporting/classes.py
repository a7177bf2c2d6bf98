"""The source of the classes that a rebuilt model needs and torch does not have."""

from __future__ import annotations

import ast
import importlib
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from engine.errors import CannotApply

COPIED = ("engine", "sample_models")  # whose source is written into the script
IMPORTS = (ast.Import, ast.ImportFrom)
RUNTIME = "engine.exporting.rebuilding"  # its names are taken: its text is the script's body
CLASHES = "rebuild.py must have one {name} only, got two: from {one} and {other}"


def is_copied(module: str) -> bool:
    """Whether what stands in a module is written into the script, and not imported by it."""
    return module.partition(".")[0] in COPIED


def is_own(module: str) -> bool:
    """Whether a module comes with neither Python, torch nor Secateur."""
    top = module.partition(".")[0]
    return not (top in (*COPIED, "torch", "builtins") or top in sys.stdlib_module_names)


def uses_secateur(module: str) -> bool:
    """Whether a module of somebody else's imports Secateur."""
    nodes = [node for node in _names(module).values() if isinstance(node, IMPORTS)]
    return any(is_copied(getattr(node, "module", "") or node.names[0].name) for node in nodes)


class Copied:
    """Pieces of source with all that they need of their modules, in an order in which they run."""

    def __init__(self) -> None:
        self.imports: dict[str, str] = {}
        self.needs: set[str] = set()
        self._pieces: dict[tuple[str, int], str] = {}
        self._owner = {
            name: "the script itself" for name, node in _names(RUNTIME).items() if not isinstance(node, IMPORTS)
        }

    def add(self, module: str, name: str) -> None:
        """A name of a module. Raises CannotApply where its source cannot be had or its name is taken."""
        found = _names(module).get(name)
        if found is None:
            if name in vars(importlib.import_module("builtins")) or name.startswith("__"):
                return
            key = "rebuild.py must find the source of {name}, got none in {module}: define it at the module's top"
            raise CannotApply(key, name=name, module=module)
        if isinstance(found, IMPORTS):
            self._import(found, name, module)
            return
        mark = (module, found.lineno)
        if mark in self._pieces:
            return
        if self._owner.setdefault(name, module) != module:
            raise CannotApply(CLASHES, name=name, one=self._owner[name], other=module)
        self._pieces[mark] = ""  # its place is taken: it may name itself
        for needed in sorted(_needed(found)):
            self.add(module, needed)
        del self._pieces[mark]
        self._pieces[mark] = _segment(module, found)

    def _import(self, node: ast.Import | ast.ImportFrom, name: str, module: str) -> None:
        for alias in node.names:
            if (alias.asname or alias.name.partition(".")[0]) != name:
                continue
            source = node.module or "" if isinstance(node, ast.ImportFrom) else alias.name
            if isinstance(node, ast.ImportFrom) and is_copied(source):
                self.add(source, alias.name)
                if alias.asname:
                    self._pieces[module, -node.lineno] = f"{name} = {alias.name}"
                return
            if is_own(source) or is_copied(source):
                self.needs.add(source)
            renamed = f" as {alias.asname}" if alias.asname else ""
            head = f"from {source} import" if isinstance(node, ast.ImportFrom) else "import"
            line = f"{head} {alias.name}{renamed}"
            if self.imports.setdefault(name, line) != line:
                raise CannotApply(CLASHES, name=name, one=self.imports[name], other=module)

    def text(self) -> str:
        """All of it. What a piece needs when it is defined stands before it."""
        return "\n\n\n".join(self._pieces.values())


@cache
def _source(module: str) -> str:
    try:
        return Path(str(importlib.import_module(module).__file__)).read_text("utf-8")
    except (OSError, ImportError) as error:
        key = "rebuild.py must find the source of {module}, got none: install Secateur with its sources"
        raise CannotApply(key, module=module) from error


@cache
def _names(module: str) -> dict[str, Any]:
    """What each name at the top of a module is: the statement that binds it."""
    return {name: node for node in ast.parse(_source(module)).body for name in _bound(node)}


def _bound(node: ast.stmt) -> Iterator[str]:
    if isinstance(node, ast.ClassDef | ast.FunctionDef):
        yield node.name
    elif isinstance(node, IMPORTS):
        yield from (alias.asname or alias.name.partition(".")[0] for alias in node.names)
    elif isinstance(node, ast.Assign | ast.AnnAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        yield from (one.id for target in targets for one in ast.walk(target) if isinstance(one, ast.Name))


def _needed(node: ast.AST) -> set[str]:
    """The names that a statement reads when it runs; annotations are not read."""
    return {one.id for one in _read(node) if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Load)} - _local(node)


def _read(node: ast.AST) -> Iterator[ast.AST]:
    yield node
    skipped: Iterable[str] = ("annotation", "returns")
    for name, value in ast.iter_fields(node):
        if name in skipped:
            continue
        for part in value if isinstance(value, list) else [value]:
            if isinstance(part, ast.AST):
                yield from _read(part)


def _local(node: ast.AST) -> set[str]:
    """Names that the statement's functions bind themselves."""
    bound: set[str] = set()
    for one in ast.walk(node):
        if isinstance(one, ast.arg):
            bound.add(one.arg)
        elif isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store):
            bound.add(one.id)
    return bound


def _segment(module: str, node: Any) -> str:
    lines = _source(module).splitlines()
    first = min([node.lineno, *(one.lineno for one in getattr(node, "decorator_list", []))])
    return "\n".join(lines[first - 1 : node.end_lineno])
