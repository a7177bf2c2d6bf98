"""Runs in a fresh process: exported files are loaded, their answers and parameters held against the expected ones."""

from __future__ import annotations

import hashlib
import importlib.abc
import importlib.util
import json
import logging
import os
import sys
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from engine.exporting.rebuilding import read_tensors

ALONE = ("dashboard", "engine", "sample_models", "secateur", "safetensors")  # what a rebuilt model must do without


class Refusing(importlib.abc.MetaPathFinder):
    """Lets nothing of these packages be imported."""

    def __init__(self, packages: tuple[str, ...]) -> None:
        self.packages = packages

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        """Refuse them, and leave the rest to others."""
        if name.partition(".")[0] in self.packages:
            raise ImportError(f"the script must do without {name}")


def tensors_in(answer: object) -> list[Tensor]:
    """All tensors of a model's answer."""
    if isinstance(answer, Tensor):
        return [answer]
    parts = answer.values() if isinstance(answer, Mapping) else answer if isinstance(answer, tuple | list) else ()
    return [tensor for part in parts for tensor in tensors_in(part)]


def answers_of(model: Callable[..., object], inputs: dict[str, Tensor], kind: str, batch: int) -> dict[str, Tensor]:
    """What the model gives for all examples, `batch` at a time: each tensor of its answer by its place."""
    parts: list[list[Tensor]] = []
    with torch.no_grad():
        for start in range(0, len(next(iter(inputs.values()))), batch):
            part = {name: tensor[start : start + batch].clone() for name, tensor in inputs.items()}
            parts.append(tensors_in(model(**part) if kind == "names" else model(*part.values())))
    if len({len(part) for part in parts}) != 1:
        raise ValueError("the answer must hold as many tensors for each batch")
    return {str(n): torch.cat([flat(part[n]) for part in parts]) for n in range(len(parts[0]))}


def flat(tensor: Tensor) -> Tensor:
    """All numbers of a tensor in one row."""
    return tensor.detach().reshape(-1)


def digest(tensor: Tensor) -> str:
    """A hash of a tensor's shape, dtype and numbers."""
    plain = tensor.detach().contiguous()
    raw = plain.reshape(-1).view(torch.uint8).numpy().tobytes() if plain.numel() else b""
    return hashlib.sha256(f"{plain.dtype} {list(plain.shape)} ".encode() + raw).hexdigest()


def near(got: Tensor, right: Tensor, tolerance: list[float]) -> bool:
    """Whether two tensors lie within an absolute and a relative tolerance of each other."""
    same = got.shape == right.shape
    return same and torch.allclose(got.double(), right.double(), tolerance[1], tolerance[0], equal_nan=True)


def imported(path: Path) -> ModuleType:
    """A script as a module, whose name is its own."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path.name} must be a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


def named_tensors(model: nn.Module) -> dict[str, Tensor]:
    """What a model saves."""
    return {name: tensor for name, tensor in model.state_dict().items() if isinstance(tensor, Tensor)}


def of_script(path: Path, job: dict[str, Any]) -> tuple[Callable[..., object], dict[str, Tensor], int]:
    """The model that rebuild.py or replay.py makes; where `path` is another's copy, of the job's folder."""
    model = imported(path).load(Path(job["folder"])) if path.stem == "rebuild" else imported(path).load()
    return model, named_tensors(model), sum(p.numel() for p in model.parameters())


def of_weights(path: Path, job: dict[str, Any]) -> tuple[Callable[..., object], dict[str, Tensor], int]:
    """The file's weights in the architecture that architecture.json holds, or else the recipe."""
    stored = read_tensors(path)
    if job["rebuild"]:
        model = imported(Path(job["rebuild"])).load(Path(job["folder"]))
    else:
        model = imported(Path(job["replay"])).load()
        for name, tensor in stored.items():
            model.state_dict(keep_vars=True)[name].data.copy_(tensor)
    return model, stored, sum(p.numel() for p in model.parameters())


def of_program(path: Path, job: dict[str, Any]) -> tuple[Callable[..., object], dict[str, Tensor], int]:
    """The program of torch.export, which holds a tied tensor once under each of its names."""
    program = torch.export.load(path)
    own = {name: t for name, t in program.state_dict.items() if isinstance(t, Tensor)}
    count = sum(tensor.numel() for name, tensor in own.items() if name in job["parameter_names"])
    return program.module(check_guards=False), own, count


def of_onnx(path: Path, job: dict[str, Any]) -> tuple[Callable[..., object], dict[str, Tensor], int]:
    """The ONNX graph in onnxruntime."""
    import onnx
    import onnxruntime
    from onnx import numpy_helper

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    names = [given.name for given in session.get_inputs()]

    def model(*args: Tensor, **kwargs: Tensor) -> list[Tensor]:
        told = kwargs or dict(zip(names, args, strict=False))
        given = {name: told[name].numpy() for name in names}
        return [torch.as_tensor(part) for part in session.run(None, given)]

    graph = onnx.load(path).graph
    held = {one.name: torch.tensor(numpy_helper.to_array(one)) for one in graph.initializer}
    own = {name: tensor for name, tensor in held.items() if name in job["digests"]}
    return model, own, sum(tensor.numel() for name, tensor in own.items() if name in job["parameter_names"])


LOADERS = {
    "safetensors": of_weights, "onnx": of_onnx, "pt2": of_program, "script": of_script, "replay": of_script,
}  # fmt: skip


def checked(job: dict[str, Any], kind: str) -> dict[str, Any]:
    """One file: how far its answers lie from those expected, and whether its parameters are the same."""
    told = job["formats"][kind]
    absolute, relative = told["tolerance"]
    model, own, count = LOADERS[kind](Path(told["file"]), job)
    inputs, largest, close = read_tensors(Path(job["inputs"])), 0.0, True
    for batch, path in job["expected"].items():
        wanted, got = read_tensors(Path(path)), answers_of(model, inputs, job["kind"], int(batch))
        if {k: t.shape for k, t in wanted.items()} != {k: t.shape for k, t in got.items()}:
            raise ValueError(f"the answer at batch {batch} must be of the same shape")
        for name, right in wanted.items():
            close &= near(got[name], right, told["tolerance"])
            apart = (got[name].double() - right.double()).nan_to_num().abs()
            largest = max(largest, float(apart.max()) if apart.numel() else 0.0)
    other = [name for name in own if digest(own[name]) != job["digests"].get(name)]
    if other and kind == "replay":  # made again, not read: equal where the machine adds in the same order
        state = read_tensors(Path(job["state"]))
        other = [n for n in other if n not in state or not near(own[n], state[n], told["tolerance"])]
    missing = sorted(set(told["names"]) - own.keys())
    why = "" if close else f"outputs must lie within {absolute:g} + {relative:g} · |output|, got {largest:g} apart"
    if other or missing:
        why = f"parameters must be equal, got {'another' if other else 'no'} {(other or missing)[0]}"
    elif count != told["parameters"]:
        why = f"there must be {told['parameters']:,} parameters, got {count:,}"
    return {"verified": not why, "difference": largest, "parameters": count, "reason": why}


def main(path: Path) -> None:
    """Check every file of every job in a JSON file, and write what was found beside it."""
    warnings.simplefilter("ignore")
    logging.disable(logging.ERROR)
    os.environ["ORT_LOGGING_LEVEL"] = "3"
    plain = json.loads(path.read_text("utf-8"))
    torch.set_num_threads(plain["threads"])
    sys.path.extend(plain["paths"])
    if plain["alone"]:
        sys.meta_path.insert(0, Refusing(ALONE))
    found: list[dict[str, Any]] = []
    for job in plain["jobs"]:
        results = {}
        for kind in job["formats"]:
            try:
                results[kind] = checked(job, kind)
            except BaseException as error:  # whatever a broken file leads to is a sentence
                why = (str(error).strip().splitlines() or [""])[0][:200]
                results[kind] = {
                    "verified": False,
                    "reason": f"it must load and run, got {type(error).__name__}: {why}",
                }
        found.append(results)
    path.with_name("found.json").write_text(json.dumps(found), "utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
