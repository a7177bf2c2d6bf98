"""Cutting and mending models without writing into a tensor that somebody else holds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import SimpleNamespace
from typing import Any, TypeAlias, cast

import torch
from torch import Tensor, nn

from engine.edit.origin import note_place

Argument: TypeAlias = "int | str"  # of a call: its place, or its name
Answer: TypeAlias = "Argument | tuple[Argument | None, ...]"
BLOCK = 2**17  # numbers


def own_bytes(model: nn.Module, original: nn.Module) -> int:
    """How many bytes of tensors a model holds beside those that it shares with the original."""
    known = {t.untyped_storage().data_ptr() for t in (*original.parameters(), *original.buffers())}
    own = {
        t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in (*model.parameters(), *model.buffers())
    }
    return sum(size for place, size in own.items() if place not in known)


def own_tensors(model: nn.Module) -> nn.Module:
    """The model with every parameter and buffer replaced by a copy, ready for code that writes in place."""
    fresh: dict[int, Tensor] = {}
    for module in model.modules():
        for name, parameter in module._parameters.items():
            if parameter is not None:
                copied = fresh.setdefault(
                    id(parameter), nn.Parameter(parameter.detach().clone(), parameter.requires_grad)
                )
                setattr(module, name, copied)
        for name, buffer in module._buffers.items():
            if buffer is not None:
                setattr(module, name, fresh.setdefault(id(buffer), buffer.clone()))
    return model


def own_parameters(model: nn.Module) -> nn.Module:
    """The model with every parameter replaced by a new one over the same data: flags can be set, not numbers."""
    fresh: dict[int, nn.Parameter] = {}
    for module in model.modules():
        for name, parameter in list(module._parameters.items()):
            if parameter is not None:
                new = fresh.setdefault(id(parameter), nn.Parameter(parameter.detach(), parameter.requires_grad))
                setattr(module, name, new)
    return model


def weights(model: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    """Every floating-point parameter of two or more dimensions, once each, by its first name."""
    for name, parameter in model.named_parameters():
        if parameter.dim() >= 2 and parameter.is_floating_point():
            yield name, parameter


def replace_parameters(model: nn.Module, new: Mapping[nn.Parameter, Tensor]) -> None:
    """Put new values where these parameters stand, wherever they stand: ties stay ties, and what is equal stays."""
    changed = {old: value.detach() for old, value in new.items() if not torch.equal(old, value)}
    ready = {id(old): nn.Parameter(value, old.requires_grad) for old, value in changed.items()}
    for module in model.modules():
        for name, parameter in list(module._parameters.items()):
            if parameter is not None and id(parameter) in ready:
                setattr(module, name, ready[id(parameter)])  # setattr: an LSTM keeps a second list up to date there


def set_parameter(module: nn.Module, name: str, value: Tensor) -> None:
    """Put a value in the place of a module's own parameter, in its dtype; an equal one stays the tensor that it was."""
    old = cast("nn.Parameter", getattr(module, name))
    new = value.detach().to(old.dtype).contiguous()
    if not torch.equal(old, new):
        setattr(module, name, nn.Parameter(new, old.requires_grad))


@torch.no_grad()
def map_weights(model: nn.Module, change: Callable[[str, Tensor], Tensor], names: Iterable[str] | None = None) -> None:
    """Put change(name, W) in the place of W for each weight of two or more dimensions, or of those names, in order.

    One after another: what is between the old and the new weight of a layer is gone before the next one's begins.
    """
    wanted = dict.fromkeys(name for name, _ in weights(model)) if names is None else dict.fromkeys(names)
    first = {id(parameter): name for name, parameter in model.named_parameters()}
    places: dict[str, list[tuple[nn.Module, str]]] = {}
    for module in model.modules():
        for own, parameter in module._parameters.items():
            if parameter is not None:
                places.setdefault(first[id(parameter)], []).append((module, own))
    for name in wanted:
        _put(places[name], change(name, model.get_parameter(name).detach()))


def _put(places: Sequence[tuple[nn.Module, str]], value: Tensor) -> None:
    """A value in these places of one parameter; an equal one stays the tensor that it was."""
    old = cast("nn.Parameter", getattr(*places[0]))
    if not torch.equal(old, value):
        new = nn.Parameter(value, old.requires_grad)
        for module, own in places:
            setattr(module, own, new)


def by_blocks(change: Callable[[Tensor], Tensor], weight: Tensor) -> Tensor:
    """change(W), which takes each number by itself, block by block: what it needs between stays in the cache."""
    if weight.numel() <= BLOCK or not weight.is_contiguous() or weight.device.type != "cpu":
        return change(weight)
    new = torch.empty_like(weight)
    for old, part in zip(weight.view(-1).split(BLOCK), new.view(-1).split(BLOCK), strict=True):
        part.copy_(change(old))
    return new


def replace_module(model: nn.Module, path: str, new: nn.Module) -> None:
    """Put a module where another one stands, everywhere that one stands."""
    old = model.get_submodule(path)
    new.train(old.training)
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if child is old:
                setattr(parent, name, new)
                if isinstance(parent, nn.TransformerEncoderLayer):
                    # Its fast path reads linear1.weight itself; this flag sends it down the ordinary path.
                    parent.activation_relu_or_gelu = 0


class Skip(nn.Module):
    """Stands where a layer was: hands on what it is given, in the form in which the layer answered.

    answer    the argument that is handed on, by place or name; of a layer that gives a tuple one for each part of it,
              None for a part that nothing needs
    copies    whether it hands on a copy: where the model writes into the layer's answer, and reads its input again.
              Where gradients flow it always does, since what is written into may be what they need
    """

    def __init__(self, answer: Answer = 0, copies: bool = False) -> None:
        super().__init__()
        self.answer, self.copies = answer, copies

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """The arguments, unchanged."""
        given: dict[Argument, Any] = {**dict(enumerate(args)), **kwargs}  # type: ignore[dict-item]
        if isinstance(self.answer, tuple):
            return tuple(None if part is None else self._handed(given[part]) for part in self.answer)
        return self._handed(given[self.answer])

    def _handed(self, value: Any) -> Any:
        flows = isinstance(value, Tensor) and value.requires_grad and torch.is_grad_enabled()
        return value.clone() if isinstance(value, Tensor) and (flows or self.copies) else value


def skip_module(model: nn.Module, path: str, answer: Answer = 0, copies: bool = False) -> None:
    """Take a layer out, so that its input becomes its output. What may be read of it from outside stays readable."""
    parent_path, _, _ = path.rpartition(".")
    holder, _, _ = parent_path.rpartition(".")
    gone = model.get_submodule(path)
    stack = model.get_submodule(holder) if parent_path else model
    if isinstance(stack, nn.TransformerEncoder | nn.TransformerDecoder) and len(stack.layers) > 1:
        # It looks inside its first layer before it runs, so a removed one must really be gone.
        for name, layer in stack.layers.named_children():
            note_place(layer, f"{parent_path}.{name}")
        stack.layers = nn.ModuleList(layer for layer in stack.layers if layer is not gone)
        return
    skip = Skip(answer, copies)
    for name, value in vars(gone).items():  # transformers asks some layers which kind of attention they are
        if isinstance(value, str) and not hasattr(skip, name):
            setattr(skip, name, value)
    if isinstance(getattr(gone, "self_attn", None), nn.MultiheadAttention):  # the last of a stack is asked for this
        skip.self_attn = SimpleNamespace(batch_first=gone.self_attn.batch_first)  # type: ignore[assignment,union-attr]
    replace_module(model, path, skip)


def tied(model: nn.Module) -> set[int]:
    """The ids of parameters that stand in more than one place."""
    seen: set[int] = set()
    twice: set[int] = set()
    for module in set(model.modules()):
        for parameter in module._parameters.values():
            if parameter is not None:
                (twice if id(parameter) in seen else seen).add(id(parameter))
    return twice


def zero_masks(model: nn.Module) -> dict[nn.Parameter, Tensor]:
    """For each weight of two or more dimensions that holds zeros: 1 where it is not zero, else 0."""
    found = {}
    for _, parameter in weights(model):
        alive = parameter.detach() != 0
        if not bool(alive.all()):
            found[parameter] = alive.to(parameter.dtype)
    return found
