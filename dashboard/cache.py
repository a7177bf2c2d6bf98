"""What all visitors share: the only file with caches. Arguments are strings and numbers."""

from __future__ import annotations

import json
import os
from functools import lru_cache

import streamlit as st

from dashboard import models
from dashboard.how import How
from engine import (
    Protocol,
    Recipe,
    Runner,
    SecateurError,
    Workload,
    count_things,
    layer_names,
    open_store,
    shared_workload,
)

STORE = "SECATEUR_STORE"  # in the environment: the URL of the store


def workload(model: str) -> Workload:
    """A model with its data: the very one in which the queue looks up what is stored."""
    return shared_workload(models.reference(model))


@st.cache_data(max_entries=1000, show_spinner=False)
def model_title(model: str) -> str:
    """What a page calls a model."""
    return workload(model).about.get("title", model)


@lru_cache(maxsize=1)
def runner() -> Runner:
    """The queue and its worker, one for the server."""
    models.settings()  # where a user's own modules are looked for, before a worker inherits it
    return Runner(open_store(os.environ.get(STORE)))


def stop() -> None:
    """Stop the worker, where one was started."""
    if runner.cache_info().currsize:
        runner().close()
        runner.cache_clear()


@st.cache_resource(max_entries=100, show_spinner=False)
def protocol(how: str = "{}") -> Protocol:
    """How this server measures, or how a reader asked for, as JSON."""
    return How.of(json.loads(how)).protocol()


def things(model: str, recipe: Recipe, index: int) -> tuple[int | None, str]:
    """How many layers or nodes a step of a recipe acts on, or None and why it cannot act."""
    # What comes later, and the share itself, do not matter: they would have it counted anew at every move.
    step = recipe.step(index)
    for coefficient in type(step).coefficients:
        if coefficient.counts and coefficient.name in step.values:
            step = step.with_value(coefficient.name, coefficient.default)
    return _things(model, str(Recipe((*recipe.steps[:index], step))), index)


@st.cache_data(max_entries=1000, show_spinner=False)
def _things(model: str, recipe: str, index: int) -> tuple[int | None, str]:
    try:
        return count_things(workload(model), Recipe.parse(recipe), index), ""
    except SecateurError as error:
        return None, str(error)


@st.cache_data(max_entries=100, show_spinner=False)
def largest_layer(model: str) -> str:
    """The name of the largest of a model's weights, "" where it has none."""
    sizes = {name: p.numel() for name, p in workload(model).model().named_parameters() if name in layers(model)}
    return max(sizes, key=lambda name: sizes[name], default="")


@st.cache_data(max_entries=100, show_spinner=False)
def layers(model: str) -> list[str]:
    """The names of a model's weights."""
    return layer_names(workload(model))
