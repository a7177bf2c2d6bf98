"""Finding the layers of a model that can be taken out: those whose input and output shapes agree."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from engine.copying import structural_copy
from engine.edit.surgery import Answer, Argument, skip_module
from engine.errors import SecateurError
from engine.examples import Inputs, main_tensor, run

CONTAINERS = (nn.Sequential, nn.ModuleList)
Held: TypeAlias = "tuple[Tensor, int]"  # a tensor, and how often it had been written into
Given: TypeAlias = "dict[Argument, Any]"
Note: TypeAlias = Callable[[nn.Module, Given, Any], None]


@dataclass
class _Seen:
    """What one forward pass showed of a module.

    given, gave   its first tensor, and the first of its answer
    answer        how that answer is made of what it was given, None where it cannot be
    loose         the places of a tuple that hold tensors of its own
    """

    calls: int = 0
    given: Held | None = None
    gave: Held | None = None
    answer: Answer | None = None
    loose: tuple[int, ...] = ()


@dataclass(frozen=True)
class Block:
    """A layer that can be taken out.

    path      in the model
    answer    what of its arguments is handed on in its place
    follows   the path of the block whose output it is given, "" where it is given something else
    copies    whether a copy must be handed on, since the model writes into the layer's answer
    """

    path: str
    convolutional: bool = field(compare=False, default=False)
    answer: Answer = field(compare=False, default=0)
    follows: str = field(compare=False, default="")
    copies: bool = field(compare=False, default=False)


@torch.no_grad()
def find_blocks(model: nn.Module, example: Inputs) -> list[Block]:
    """The outermost layers, in the order in which they run, that hold weights, run once, and give a tensor of the
    shape that they got.

    A layer may be given that tensor by place or by name, and may give a tuple that begins with one; the rest of the
    tuple must be None, arguments handed through, or tensors that the model's answer does not hang on. A container,
    and what only hands a tensor through one layer after the other, is looked into where it holds two or more such
    layers; another layer stands for itself, so a residual block is one layer and not the convolutions in it. What the
    model cannot run without is left out.

    example    a batch (n, ...)
    """
    seen: dict[nn.Module, _Seen] = {module: _Seen() for module in model.modules()}
    place: dict[nn.Module, int] = {}

    def before(module: nn.Module, given: Given, _: Any) -> None:
        seen[module].calls += 1
        seen[module].given = next((_held(value) for value in given.values() if isinstance(value, Tensor)), None)

    def after(module: nn.Module, given: Given, output: Any) -> None:
        place[module] = len(place)
        _note_answer(seen[module], given, output)

    with hooked(model.modules(), before, early=True), hooked(model.modules(), after):
        wanted = main_tensor(run(model, example))
    for module, facts in seen.items():
        if facts.loose and facts.calls == 1 and _matters(model, module, facts.loose, example, wanted):
            facts.answer = None

    def fits(module: nn.Module) -> bool:
        facts = seen[module]
        return facts.answer is not None and facts.calls == 1 and any(p.dim() >= 2 for p in module.parameters())

    found = sorted(_collect(model, fits, seen), key=lambda module: place[module])
    names = {module: name for name, module in model.named_modules()}
    blocks = [_block(names, seen, found, module) for module in found]
    return [block for block in (_tried(model, block, example, wanted) for block in blocks) if block is not None]


def _held(tensor: Tensor) -> Held:
    return tensor, 0 if tensor.is_inference() else tensor._version


def _same(a: Held | None, b: Held | None) -> bool:
    """Whether they are one tensor, which nobody wrote into in between."""
    return a is not None and b is not None and a[0] is b[0] and a[1] == b[1]


def _note_answer(facts: _Seen, given: Given, output: Any) -> None:
    parts = output if isinstance(output, tuple) else (output,)
    first = next((key for key, value in given.items() if isinstance(value, Tensor)), None)
    if first is None or not parts or not isinstance(parts[0], Tensor) or parts[0].shape != given[first].shape:
        return
    facts.gave = _held(parts[0])
    handed = [next((key for key, value in given.items() if value is part), None) for part in parts[1:]]
    rest = [None if part is None else key for part, key in zip(parts[1:], handed, strict=True)]
    own = [i for i, part in enumerate(parts) if i and part is not None and rest[i - 1] is None]
    if all(isinstance(parts[i], Tensor) and parts[i].is_floating_point() for i in own):
        facts.answer = (first, *rest) if isinstance(output, tuple) else first
        facts.loose = tuple(own)


def _matters(model: nn.Module, module: nn.Module, loose: Sequence[int], example: Inputs, wanted: Tensor) -> bool:
    """Whether the model's answer is another where these parts of a module's answer are not numbers."""

    def spoil(_: nn.Module, __: Any, output: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(torch.full_like(part, torch.nan) if i in loose else part for i, part in enumerate(output))

    handle = module.register_forward_hook(spoil)
    try:
        return not torch.equal(main_tensor(run(model, example)), wanted)
    finally:
        handle.remove()


def _collect(module: nn.Module, fits: Callable[[nn.Module], bool], seen: Mapping[nn.Module, _Seen]) -> list[nn.Module]:
    found: list[nn.Module] = []
    for child in module.children():
        inner = _collect(child, fits, seen)
        lists = any(isinstance(part, nn.ModuleList) for part in child.modules())
        opens = isinstance(child, CONTAINERS) or lists or not fits(child) or _hands_through(child, inner, seen)
        found += inner if opens and (len(inner) > 1 or not fits(child)) else [child]
    return found


def _hands_through(module: nn.Module, inner: Sequence[nn.Module], seen: Mapping[nn.Module, _Seen]) -> bool:
    """Whether the layers inside hand on what the module is given, one to the next, and the last one's is its own."""
    given = seen[module].given
    for part in inner:
        if not _same(seen[part].given, given):
            return False
        given = seen[part].gave
    return _same(seen[module].gave, given)


def _block(
    names: Mapping[nn.Module, str], seen: Mapping[nn.Module, _Seen], found: Sequence[nn.Module], module: nn.Module
) -> Block:
    facts = seen[module]
    before = next((names[other] for other in found if _same(seen[other].gave, facts.given)), "")
    convolutional = any(isinstance(part, nn.Conv1d | nn.Conv2d | nn.Conv3d) for part in module.modules())
    return Block(names[module], convolutional, 0 if facts.answer is None else facts.answer, before)


def _tried(model: nn.Module, block: Block, example: Inputs, wanted: Tensor) -> Block | None:
    """The block, if the model runs without it: with a copy handed on where that makes another answer."""
    answers = []
    for copies in (True, False):
        copied = structural_copy(model)
        skip_module(copied, block.path, block.answer, copies)
        try:
            answers.append(main_tensor(run(copied, example)))
        except (torch.OutOfMemoryError, SecateurError):
            raise
        except Exception:  # the model's own code, which wants something of the layer that nothing else has
            return None
    if answers[0].shape != wanted.shape:
        return None
    return replace(block, copies=not torch.equal(*answers))


def take_out(model: nn.Module, blocks: Sequence[Block]) -> nn.Module:
    """The model without these blocks, each one's input in its output's place.

    blocks    in the order in which they run
    """
    for block in reversed(blocks):  # a stack is numbered anew behind the one that went
        skip_module(model, block.path, block.answer, block.copies)
    return model


@contextmanager
def hooked(modules: Iterator[nn.Module], note: Note, early: bool = False) -> Iterator[None]:
    """Within it `note(module, arguments, output)` is called after each of the modules, or before it, without output."""

    def hook(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any = None) -> None:
        given: Given = {**dict(enumerate(args)), **kwargs}  # type: ignore[dict-item]
        note(module, given, output)

    handles = [
        module.register_forward_pre_hook(hook, with_kwargs=True)
        if early
        else module.register_forward_hook(hook, with_kwargs=True)
        for module in modules
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@torch.no_grad()
def around(
    model: nn.Module, blocks: Sequence[Block], inputs: Inputs, visit: Callable[[Block, Tensor, Tensor], None]
) -> None:
    """Run the model and call `visit(block, input, output)` for each of the blocks as it runs.

    inputs    (n, ...)
    """
    places = {model.get_submodule(block.path): block for block in blocks}

    def note(module: nn.Module, given: Given, output: Any) -> None:
        block = places[module]
        if isinstance(block.answer, tuple):
            visit(block, given[block.answer[0]], output[0])  # type: ignore[index]
        else:
            visit(block, given[block.answer], output)

    with hooked(iter(places), note):
        run(model, inputs)
