"""The character language model: causal, and better than the n-grams that were fitted beside it."""

from __future__ import annotations

import json

import pytest
import torch

from engine import Workload
from engine.metrics.accuracy import all_terms
from engine.metrics.score import score_figures
from sample_models import load
from sample_models.character_lm import end, line, pair, signs, splits, start
from sample_models.django_strings import LENGTH, corpus
from sample_models.files import HERE
from sample_models.training.kneser_ney import KneserNey


@pytest.fixture(scope="module")
def workload() -> Workload:
    return load("character_lm")


@pytest.fixture(scope="module")
def log() -> dict:
    return json.loads((HERE / "weights" / "character_lm.log.json").read_text("utf-8"))


def test_it_has_eight_blocks_and_looks_at_nothing_that_comes_later(workload: Workload) -> None:
    net = workload.model()
    assert len(net.blocks) >= 8
    x = workload.test[0][:64]
    changed = x.clone()
    changed[:, 20:] = torch.randint(1, start(), changed[:, 20:].shape, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        assert torch.equal(net(x)[:, :20], net(changed)[:, :20])


def test_it_needs_fewer_bits_than_kneser_ney_on_strings_that_neither_has_seen(workload: Workload, log: dict) -> None:
    parts = splits()
    ngrams = KneserNey(parts["train"], signs() - 2, order=5)
    assert log["kneser_ney"]["order"] == 5
    for part in ("validation", "test"):
        told = ngrams.bits(parts[part])
        assert told == pytest.approx(log["kneser_ney"][f"{part}_bits"], abs=1e-9)
        terms = all_terms(workload.model(), workload.task, getattr(workload, part), torch.device("cpu"))
        bits = score_figures(terms, workload.task)["bits_per_character"]
        assert bits.high < told  # with its whole interval
        assert bits.unit == "bits"


def test_inputs_and_targets_are_one_character_apart() -> None:
    codes = corpus().validation[0]
    inputs, targets = pair(codes)
    assert (inputs[:, 0] == start()).all()
    assert torch.equal(inputs[:, 1:], codes)
    lengths = (codes > 0).sum(1)
    for string, row, length in zip(codes.tolist(), targets.tolist(), lengths.tolist(), strict=True):
        assert row[:length] == string[:length]
        assert row[length:] == ([end()] + [-1] * (LENGTH - length) if length < LENGTH else [-1])


def test_codes_are_read_as_the_text_they_came_from() -> None:
    codes = corpus().validation[0]
    inputs, _ = pair(codes)
    for written, coded in zip(inputs[:50], codes[:50], strict=True):
        assert line(written) == corpus().text(coded)
    finished = inputs[0].clone()
    finished[5] = end()
    assert line(finished) == corpus().text(codes[0, :4])
