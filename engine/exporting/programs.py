"""The model as a graph for any batch size: a program of torch.export, and ONNX."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path

import torch
from torch import nn

from engine.errors import CannotApply, first_line
from engine.examples import Inputs
from engine.kit import exported

MOST_ONE_FILE = 2**31 - 2**24  # bytes: protobuf holds no more in one file
LOUD = ("torch.onnx", "torch.export", "onnxscript", "onnx_ir", "torch._dynamo", "torch.fx")


def program_of(model: nn.Module, inputs: Inputs, batches: Sequence[int]) -> torch.export.ExportedProgram:
    """The model as a program for any batch size. Raises CannotApply where it is not, or answers otherwise."""
    with _silence():
        return exported(model, inputs, batches)


def used_by(program: torch.export.ExportedProgram) -> list[str]:
    """The names of the parameters and buffers that the program reads: a graph may leave out the others."""
    read = {node.name for node in program.graph.nodes if node.op == "placeholder" and node.users}
    signature = program.graph_signature
    told = {**signature.inputs_to_parameters, **signature.inputs_to_buffers}
    return [name for place, name in told.items() if place in read and name in program.state_dict]


def write_program(program: torch.export.ExportedProgram, path: Path) -> None:
    """Save it. Raises CannotApply where torch cannot write it down."""
    try:
        with _silence():
            torch.export.save(program, path)
    except OSError:
        raise
    except Exception as error:  # whatever the exporter meets in somebody's model
        key = "torch.export must be able to save the model, got: {why}"
        raise CannotApply(key, why=first_line(error)) from error


def write_onnx(program: torch.export.ExportedProgram, path: Path) -> None:
    """Translate it to ONNX, its batch size free, no layer folded into another. Raises CannotApply where that fails."""
    size = sum(t.nbytes for t in program.state_dict.values())
    try:
        with _silence():
            made = torch.onnx.export(program, (), dynamo=True, verbose=False, optimize=False)
            if made is None:
                raise RuntimeError("the exporter gave nothing")
            made.save(path, external_data=size > MOST_ONE_FILE)
    except OSError:
        raise
    except Exception as error:  # an operator that ONNX lacks, or whatever the exporter meets
        why = " ".join(str(error).split()).partition("Exception summary")[2].strip("# ")[:200] or first_line(error)
        raise CannotApply("ONNX must have every operator of the model, got: {why}", why=why) from error


@contextmanager
def _silence() -> Iterator[None]:
    """The exporters print, log and warn; what a reader must know is said in a sentence."""
    loggers = [logging.getLogger(name) for name in LOUD]
    levels, told = [one.level for one in loggers], io.StringIO()
    try:
        with warnings.catch_warnings(), redirect_stdout(told), redirect_stderr(told):
            warnings.simplefilter("ignore")
            for one in loggers:
                one.setLevel(logging.CRITICAL)
            yield
    finally:
        for one, level in zip(loggers, levels, strict=True):
            one.setLevel(level)
