"""The text of rebuild.py, which needs torch alone, and of replay.py, which needs Secateur."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path

from engine.exporting import rebuilding
from engine.exporting.architecture import Plan
from engine.exporting.classes import Copied, is_copied, is_own, uses_secateur
from engine.recipe import Recipe

FUTURE = "from __future__ import annotations\n"
HEAD = '''"""{name}, made smaller: the architecture rebuilt and its weights loaded, by {needs}.

    from rebuild import load

    model = load()  # a torch.nn.Module in eval mode, on the CPU

It reads architecture.json and model.safetensors, which lie beside it. Recipe: {recipe}
{own}What the recipe did to the original:

{edits}
"""
'''
FOOT = '''


HERE = Path(__file__).resolve().parent
KNOWN: dict[str, Any] = {{
{known}
}}


def load(folder: Path = HERE) -> nn.Module:
    """The model in eval mode, on the CPU. Raises ValueError where the files do not fit together."""
    plan = read_architecture(Path(folder) / "architecture.json")
    return build(plan, read_tensors(Path(folder) / "model.safetensors"), KNOWN)


if __name__ == "__main__":
    print(f"{{sum(p.numel() for p in load().parameters()):,}} parameters")
'''
OWN = """It imports {classes}: {where} must be on Python's path, with torch and what it imports itself{too}.
"""
REPLAY = '''"""{name}: the recipe done again from the original, by Secateur {version}.

    python replay.py          # compares the result with model.safetensors where that lies beside it

{reference_said}
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from engine import Context, Recipe, Workload

REFERENCE = {reference!r}
FINGERPRINT = {fingerprint!r}  # of the original, its data and its task
RECIPE = {recipe!r}
DEVICE, SEED, THREADS = {device!r}, {seed}, {threads}


def load(workload: Workload | None = None) -> nn.Module:
    """The variant in eval mode, on the CPU. Raises ValueError where the original is another one."""
    if workload is None:
        if not REFERENCE:
            raise ValueError("load must be given the Workload, got none: it was built by hand and has no reference")
        workload = Workload.from_reference(REFERENCE)
    if workload.fingerprint != FINGERPRINT:
        raise ValueError("the original must be the one that was exported, got another network, other data or task")
    torch.set_num_threads(THREADS)  # a training adds in another order with more of them
    return Recipe.parse(RECIPE).apply_in(Context.of(workload, torch.device(DEVICE), SEED)).cpu().eval()


if __name__ == "__main__":
    from safetensors.torch import load_file

    model, stored = load(), Path(__file__).resolve().parent / "model.safetensors"
    if stored.exists():
        own = model.state_dict()
        pairs = [(own[name].double(), tensor.double()) for name, tensor in load_file(stored).items() if tensor.numel()]
        apart = max((float((one - other).abs().max()) for one, other in pairs), default=0.0)
        print(f"largest difference of a weight: {{apart:g}}")
'''


def rebuild_script(plan: Plan, name: str, recipe: Recipe, edits: Sequence[str]) -> tuple[str, list[str]]:
    """The text of rebuild.py, and the user's own classes and functions that it imports.

    Raises CannotApply where the source of something in the model cannot be written down.
    """
    copied, known, imports, own = Copied(), [], dict[str, None](), []
    for text in plan.names.found:
        module, _, inner = text.partition(":")
        if is_copied(module):
            copied.add(module, inner.partition(".")[0])
            known.append(f'    "{text}": {inner},')
            continue
        imports[f"import {module}"] = None
        known.append(f'    "{text}": {module}.{inner},')
        if is_own(module):
            own.append(text)
    needs = "torch alone" if not own else "torch and the classes of its author"
    told = edits or ["nothing: it is the original" if not recipe.steps else "its numbers alone"]
    head = HEAD.format(
        name=name, needs=needs, recipe=_safe(str(recipe)), own=_own(own),
        edits="\n".join(textwrap.fill(f"- {_safe(line)}", 118, subsequent_indent="  ") for line in told),
    )  # fmt: skip
    body = Path(str(rebuilding.__file__)).read_text("utf-8").partition(FUTURE)[2]
    lines = "\n".join(sorted({*imports, *copied.imports.values()}))
    text = f"{head}\n{FUTURE}\n# ruff: noqa\n{body}\n{lines}\n\n\n{copied.text()}"
    return text + FOOT.format(known="\n".join(known)), [*own, *sorted(copied.needs)]


def _own(own: Sequence[str]) -> str:
    if not own:
        return ""
    modules = sorted({text.partition(":")[0] for text in own})
    too = ", Secateur among it" if any(map(uses_secateur, modules)) else ""
    return OWN.format(classes=", ".join(own), where=", ".join(modules), too=too)


def _safe(text: str) -> str:
    """A text that may stand in a docstring."""
    return text.replace("\\", "\\\\").replace('"""', "'''")


def replay_script(about: dict[str, object], recipe: Recipe) -> str:
    """The text of replay.py.

    about    name, version, reference, fingerprint, device, seed, threads
    """
    said = "The original is built by its reference."
    if not about["reference"]:
        said = "The original has no reference: give load() the Workload that was exported."
    return REPLAY.format(recipe=str(recipe), reference_said=said, **about)
