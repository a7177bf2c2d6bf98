from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import engine
import sample_models

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("package", [engine, sample_models], ids=lambda p: p.__name__)
def test_the_facade_is_what_it_says_sorted_and_nothing_else(package: ModuleType) -> None:
    assert list(package.__all__) == sorted(package.__all__)
    if package is engine:
        public = {name for name, value in vars(package).items() if not name.startswith("_")}
        assert {name for name in public if not inspect.ismodule(getattr(package, name))} == set(package.__all__)


def test_no_name_of_the_facade_is_a_modules_name() -> None:
    modules = {path.stem for path in Path(engine.__file__).parent.iterdir()}
    assert not modules & set(engine.__all__)


@pytest.mark.parametrize("name", engine.__all__)
def test_every_name_of_the_facade_has_a_docstring(name: str) -> None:
    assert (getattr(engine, name).__doc__ or "").strip()


def test_the_engine_and_the_models_need_no_user_interface() -> None:
    script = """
import sys, warnings
warnings.simplefilter("error")
for name in ("streamlit", "plotly", "dashboard"):
    sys.modules[name] = None  # importing it is an ImportError now
import engine
from sample_models import load
engine.Recipe.of([method for method in engine.available_methods()])
engine.Recipe.of([["weight_pruning", {"amount": 0.5}]]).apply(load("digits_mlp"), device="cpu")
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
