"""Weights and data of one's own, uploaded on the page and explored there."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from safetensors.torch import save_file

from tests import digits

from .conftest import OpenPage, Serve, wait_idle
from .pages import APP, PRUNE, VALUES, amount_of, link_to, measured, press, values_of, view_of

pytestmark = pytest.mark.browser


@pytest.fixture(scope="session")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the server keeps what is uploaded."""
    return tmp_path_factory.mktemp("uploads")


@pytest.fixture
def opened(serve: Serve, open_page: OpenPage, kept: Path) -> Page:
    """A perceptron on digits with half of its weights pruned, on a server that takes uploads."""
    page = open_page(link_to(serve(APP, {"SECATEUR_STORE": "sqlite://", "SECATEUR_UPLOADS": str(kept)}))([PRUNE]))
    measured(page)
    return page


def send(page: Page, file: Path) -> None:
    """Choose a file in the open popover, once what was chosen before is taken in: then its place is a new one."""
    wait_idle(page)
    place = page.locator("input[type=file]")
    expect(place).to_have_count(1)
    place.set_input_files(file)


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """Weights of the same net, spoilt so that their accuracy tells them from the shipped ones."""
    save_file(digits.weights(bias=4), tmp_path / "my weights.safetensors")
    return tmp_path / "my weights.safetensors"


def test_a_checkpoint_is_uploaded_and_explored(opened: Page, weights: Path, tmp_path: Path) -> None:
    shipped = values_of(opened)
    opened.get_by_text("Bring your own").click()
    pickled = tmp_path / "my weights.pt"
    pickled.write_bytes(b"PK")
    send(opened, pickled)
    alert = opened.locator("[data-testid=stAlert]")
    expect(alert).to_contain_text("'my weights.pt', which can run code when it is opened")
    assert view_of(opened)["model"] == "digits_mlp"
    send(opened, weights)
    opened.wait_for_function("decodeURIComponent(location.search).includes('digits_mlp~w')")
    expect(alert).to_have_count(0)
    opened.keyboard.press("Escape")
    opened.wait_for_function(
        "old => document.querySelector('.st-key-figures').innerText.includes(old) === false", arg=shipped[-1]
    )
    measured(opened)
    expect(opened.locator(VALUES).first).to_have_text(shipped[0])
    own = values_of(opened)
    assert own[:3] == shipped[:3]  # the same net, the same share of it gone
    assert own[-1] != shipped[-1]
    amount = press(opened, "ArrowRight", times=3)
    measured(opened, amount)
    assert amount_of(opened) == 0.53
    assert values_of(opened)[1] != own[1]
    opened.reload()  # a link to it works as long as the server has it
    wait_idle(opened)
    measured(opened, amount)
    assert view_of(opened)["model"].startswith("digits_mlp~w")


def test_a_table_is_uploaded_and_scored_on(opened: Page, tmp_path: Path) -> None:
    (tmp_path / "own.csv").write_text(digits.table(40), "utf-8")
    opened.get_by_text("Bring your own").click()
    send(opened, tmp_path / "own.csv")
    opened.wait_for_function("decodeURIComponent(location.search).includes('digits_mlp~d')")
    opened.keyboard.press("Escape")
    measured(opened)
    opened.get_by_text("About model and data").click()
    expect(opened.get_by_text("1,000 train, 300 validation, 40 test")).to_be_visible()
