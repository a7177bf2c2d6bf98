"""Seven ways to make a PyTorch model smaller, and what each costs, measured."""

import os

from engine.catalogue import available_methods, describe_method
from engine.coefficient import Coefficient
from engine.comparing.basis import comparable, differing
from engine.comparing.beside import Beside, beside
from engine.comparing.bounds import Bound
from engine.comparing.files import read_points
from engine.comparing.frontier import Tradeoff, tradeoff
from engine.comparing.orders import measured_orders, orders, ranked
from engine.comparing.points import Point
from engine.comparing.table import rows, write_csv, write_parquet
from engine.comparing.whole import Comparison, compared, tradeoffs
from engine.comparing.words import recipe_in_words
from engine.errors import (
    BrokenVariant,
    Cancelled,
    CannotApply,
    InvalidCoefficient,
    InvalidInput,
    MalformedRecipe,
    Message,
    SecateurError,
    StoreUnavailable,
    UnknownName,
    unknown,
)
from engine.exporting.export import export
from engine.exporting.folder import exportable
from engine.exporting.outcome import Exported
from engine.form import Effect, Form
from engine.jobs import Outcome, Runner
from engine.kit import read_result, write_kit
from engine.measured import Measured
from engine.measurement import Measurer, measure
from engine.method import Channel, Context, Method
from engine.metrics.precision import BASELINES
from engine.metrics.record import Estimate, Measurement, Protocol
from engine.microscope import WeightView, count_things, layer_names
from engine.per_layer import view_layers
from engine.recipe import Recipe
from engine.sources.checkpoint import read_variant
from engine.sources.own import own_reference
from engine.store import Store, open_store
from engine.sweeps import Failed, Sweep, run_sweep, sweep
from engine.task import Score, Task, agreement, language_modelling
from engine.treatability import Treatability, treatability_map
from engine.work import Job
from engine.workload import Workload, reference_to, shared_workload

# Torch reads it at its first large tensor: with large pages a large variant's fresh memory costs a third as much.
os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")

__all__ = [
    "BASELINES",
    "Beside",
    "Bound",
    "BrokenVariant",
    "Cancelled",
    "CannotApply",
    "Channel",
    "Coefficient",
    "Comparison",
    "Context",
    "Effect",
    "Estimate",
    "Exported",
    "Failed",
    "Form",
    "InvalidCoefficient",
    "InvalidInput",
    "Job",
    "MalformedRecipe",
    "Measured",
    "Measurement",
    "Measurer",
    "Message",
    "Method",
    "Outcome",
    "Point",
    "Protocol",
    "Recipe",
    "Runner",
    "Score",
    "SecateurError",
    "Store",
    "StoreUnavailable",
    "Sweep",
    "Task",
    "Tradeoff",
    "Treatability",
    "UnknownName",
    "WeightView",
    "Workload",
    "agreement",
    "available_methods",
    "beside",
    "comparable",
    "compared",
    "count_things",
    "describe_method",
    "differing",
    "export",
    "exportable",
    "language_modelling",
    "layer_names",
    "measure",
    "measured_orders",
    "open_store",
    "orders",
    "own_reference",
    "ranked",
    "read_points",
    "read_result",
    "read_variant",
    "recipe_in_words",
    "reference_to",
    "rows",
    "run_sweep",
    "shared_workload",
    "sweep",
    "tradeoff",
    "tradeoffs",
    "treatability_map",
    "unknown",
    "view_layers",
    "write_csv",
    "write_kit",
    "write_parquet",
]
