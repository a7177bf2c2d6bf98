from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine import Store, StoreUnavailable, open_store
from engine import store as module
from engine.store import KINDS, default_url

Opener = Callable[[Path], Store]

# Every class of store that engine/store.py has, and how one is opened.
OPENERS: dict[str, Opener] = {
    "MemoryStore": lambda folder: open_store("sqlite://"),
    "DatabaseStore": lambda folder: open_store(f"sqlite:///{folder / 'records.sqlite'}"),
}
KEY = {"workload": "abc", "recipe": "[]", "seed": 0}
RECORD = {"value": 0.1, "n": 3, "unit": "ms", "deep": {"list": [1, None, "λ 中"]}}


@pytest.fixture(params=OPENERS)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    opened = OPENERS[request.param](tmp_path)
    yield opened
    opened.close()


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'records.sqlite'}"


def test_every_store_there_is_is_tested() -> None:
    found = {name for name, kind in vars(module).items() if isinstance(kind, type) and issubclass(kind, Store)}
    assert found - {"Store"} == set(OPENERS)


def test_a_new_store_is_empty(store: Store) -> None:
    assert [store.get(kind, KEY) for kind in KINDS] == [None] * len(KINDS)


def test_what_is_put_is_got(store: Store) -> None:
    store.put("size", KEY, RECORD)
    assert store.get("size", KEY) == RECORD


def test_kinds_and_keys_are_apart(store: Store) -> None:
    for number, kind in enumerate(KINDS):
        store.put(kind, KEY, {"value": number})
        store.put(kind, KEY | {"seed": 1}, {"value": number + 10})
    assert [store.get(kind, KEY) for kind in KINDS] == [{"value": n} for n in range(len(KINDS))]
    assert store.get("score", KEY | {"seed": 1}) == {"value": 11}
    assert store.get("score", KEY | {"seed": 2}) is None
    assert store.get("score", {}) is None


def test_a_later_record_takes_the_place_of_an_older_one(store: Store) -> None:
    for value in range(3):
        store.put("score", KEY, {"value": value})
    assert store.get("score", KEY) == {"value": 2}


def test_the_order_of_a_keys_fields_is_nothing(store: Store) -> None:
    store.put("size", KEY, RECORD)
    assert store.get("size", dict(reversed(KEY.items()))) == RECORD


def test_a_record_cannot_be_changed_from_outside(store: Store) -> None:
    record = {"list": [1]}
    store.put("size", KEY, record)
    record["list"].append(2)
    got = store.get("size", KEY)
    assert got == {"list": [1]}
    got["list"].append(3)
    assert store.get("size", KEY) == {"list": [1]}


def test_threads_can_share_a_store(store: Store) -> None:
    def write(number: int) -> None:
        for i in range(10):
            store.put("latency", KEY | {"writer": number, "i": i}, {"value": i})

    writers = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in writers:
        thread.start()
    for thread in writers:
        thread.join()
    assert all(store.get("latency", KEY | {"writer": w, "i": i}) == {"value": i} for w in range(4) for i in range(10))


def test_a_file_keeps_its_records(url: str) -> None:
    first = open_store(url)
    first.put("size", KEY, RECORD)
    first.close()
    second = open_store(url)
    assert second.get("size", KEY) == RECORD
    second.close()


def test_two_connections_see_each_others_records_at_once(url: str) -> None:
    one, other = open_store(url), open_store(url)
    one.put("size", KEY, {"value": 1})
    assert other.get("size", KEY) == {"value": 1}
    other.put("size", KEY, {"value": 2})
    assert one.get("size", KEY) == {"value": 2}
    one.close()
    other.close()


def test_memory_is_forgotten() -> None:
    first = open_store("sqlite://")
    first.put("size", KEY, RECORD)
    assert open_store("sqlite://").get("size", KEY) is None
    assert type(open_store("sqlite:///:memory:")) is type(first)


@pytest.mark.parametrize(
    "bad",
    [
        "records.sqlite",
        "nonsense://x",
        "sqlite:////no/such/folder/records.sqlite",
        "oracle+nodriver://host/db",
        "://",
        "sqlite:////",
        " ",
    ],
)
def test_an_address_that_opens_nothing_is_refused_in_one_sentence(bad: str) -> None:
    with pytest.raises(StoreUnavailable, match=r"^the store must be a database that can be opened, got ") as caught:
        open_store(bad)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("no database at all, but long enough to be taken for one\n" * 100, "utf-8")
    with pytest.raises(StoreUnavailable):
        open_store(f"sqlite:///{path}")


def test_the_default_is_a_file_in_the_users_data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    opened = open_store()
    opened.put("size", KEY, RECORD)
    opened.close()
    assert default_url() == f"sqlite:///{tmp_path / 'secateur' / 'records.sqlite'}"
    assert (tmp_path / "secateur" / "records.sqlite").exists()


def test_a_data_folder_that_cannot_be_made_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "file"))
    with pytest.raises(StoreUnavailable, match="must be writable"):
        open_store()
