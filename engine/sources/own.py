"""A known architecture with weights or test data of one's own, both from files that nobody vouches for."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from engine.errors import InvalidInput
from engine.examples import Inputs, main_tensor, run
from engine.sources.checkpoint import read_checkpoint
from engine.sources.labelled import Bounds, read_labelled
from engine.workload import Workload, reference_to, shared_workload

FUNCTION = f"{__name__}:workload"


def own_reference(base: str, checkpoint: Path | None = None, data: Path | None = None) -> str:
    """The reference of a workload with a checkpoint in place of its weights, or data in place of its test split.

    base    the reference of the workload that brings architecture, task, train and validation data
    """
    files = {"checkpoint": checkpoint, "data": data}
    return reference_to(FUNCTION, base=base, **{k: str(path.resolve()) for k, path in files.items() if path})


def workload(base: str, checkpoint: str = "", data: str = "") -> Workload:
    """The workload of `base` with weights from a .safetensors file, and a test split from an .npz or .csv file.

    Both files are checked before anything in them is used; nothing is unpickled. Raises InvalidInput with one sentence.
    """
    told = shared_workload(base)
    own = told.with_own()
    if checkpoint:
        path = Path(checkpoint)
        net = told.model()
        net.load_state_dict(read_checkpoint(path, net), strict=False)  # the names were compared; not all are tensors
        own = own.with_own(network=net)
        own.about |= {"trained": f"Elsewhere: the weights are those of {path.name}.", "confuses": ""}
    if data:
        path = Path(data)
        like = _plain(told.test, told.name)
        test = read_labelled(path, like, told.classes, _bounds(told))
        own = own.with_own(test=test)
        own.about["data"] = _described(test[0], told)
    mark = own.fingerprint[:6]
    own.name = f"{told.name}-{mark}"
    own.about["title"] = f"{told.about.get('title', told.name)}, {' and '.join(_what(checkpoint, data))} ({mark})"
    return own


def _bounds(told: Workload) -> Bounds:
    """Targets are what the model has outputs for; inputs what some split holds, or the table of embeddings."""
    splits = [_plain(split, told.name) for split in (told.train, told.validation, told.test)]
    inputs = max(int(x.max()) for x, _ in splits)
    net = told.model()
    rows = [m.num_embeddings for m in net.modules() if isinstance(m, nn.Embedding) and m.num_embeddings > inputs]
    if not told.task.counts_classes:
        return Bounds(min(rows, default=inputs + 1) - 1, None, None)
    with torch.inference_mode():
        width = main_tensor(run(net, told.example)).shape[-1]
    padded = told.task.name == "language_modelling"  # whose negative targets are padding
    return Bounds(min(rows, default=inputs + 1) - 1, width - 1, None if padded else 0)


def _bytes(row: Tensor) -> bytes:
    return row.detach().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()


def _what(checkpoint: str, data: str) -> list[str]:
    return [word for word, path in (("own weights", checkpoint), ("own data", data)) if path]


def _plain(split: tuple[Inputs, Inputs], name: str) -> tuple[Tensor, Tensor]:
    inputs, targets = split
    if not isinstance(inputs, Tensor) or not isinstance(targets, Tensor):
        raise InvalidInput(
            "the model must take one tensor to be given data from a file, got several inputs of {name}: bring it in "
            "Python as a workload", name=name,
        )  # fmt: skip
    return inputs, targets


def _described(test: Tensor, told: Workload) -> str:
    """What the page says of uploaded data: how many there are, and how many the methods see in training."""
    seen = {_bytes(row) for row in _plain(told.train, told.name)[0]}
    again = sum(_bytes(row) in seen for row in test)
    return (
        f"{len(test):,} examples of your own as test data, {again:,} of them also in the training data of {told.name}."
    )
