"""The verdict on the page."""

from __future__ import annotations

import re

from .conftest import OpenPage

WORDS = "faster|slower|not distinguishable"


def test_every_batch_size_has_a_word_and_a_cause_and_the_evidence_is_a_click_away(open_page: OpenPage) -> None:
    page = open_page([["weight_pruning", {"form": "magnitude_global", "amount": 0.9}]])
    page.wait()
    said = page.texts("markdown")
    for batch in (1, 64):
        assert re.search(rf"\*\*Batch {batch}: ({WORDS})\*\* \(.* × the original's time\)\. ", said)
        assert re.search(rf"\*\*Batch {batch}\*\*: ratio [01]\.\d+ to .* noise floor ", said)
    assert "Only zeros were made" in said
    assert "No layer has another shape than before." in page.texts("caption")


def test_layers_that_became_narrower_stand_in_the_evidence(open_page: OpenPage) -> None:
    page = open_page([["node_pruning", {"form": "group_norm", "amount": 0.5}]])
    page.wait()
    table = page.at.dataframe[0].value
    assert {"layer", "shape before", "after", "ms before", "ms after"} <= set(table.columns)
    assert "256 × 128" in set(table["shape before"])
    assert "128 × 64" in set(table["after"])
