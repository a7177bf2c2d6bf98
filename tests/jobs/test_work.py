"""One job as text, done in this process."""

from __future__ import annotations

import json
from dataclasses import asdict, fields, replace

import pytest

from engine import Channel, InvalidInput, Job, Protocol, Recipe
from engine.store import MemoryStore, Payload, RecordKind
from engine.work import do_job, look_up, protocol_of
from tests.tiny import tiny

from .conftest import MakeJob

PRUNED = [["weight_pruning", {"amount": 0.5}]]


class Stopped(Channel):
    """Somebody asked to stop."""

    def cancelled(self) -> bool:
        return True


def answer(job: Job, channel: Channel | None = None) -> dict[str, object]:
    return json.loads(do_job(job, channel or Channel(), None))


def test_equal_jobs_have_equal_keys_and_others_do_not(job: MakeJob) -> None:
    one = job("point", PRUNED)
    assert one.key == job("point", PRUNED).key
    changed = [replace(one, **{f.name: 1 if f.name == "generation" else "other"}) for f in fields(one)]
    assert len({one.key, *(other.key for other in changed)}) == 1 + len(changed)


def test_a_job_is_text_alone(job: MakeJob, protocol: Protocol) -> None:
    one = job("point", PRUNED)
    assert all(isinstance(value, str | int) for value in asdict(one).values())
    assert protocol_of(one.protocol) == protocol
    assert Recipe.parse(one.recipe) == Recipe.of(PRUNED)


def test_a_workload_made_in_memory_has_no_jobs(protocol: Protocol) -> None:
    with pytest.raises(InvalidInput, match="linear must have a reference to be measured in another process"):
        Job.of("point", tiny("linear"), Recipe(), protocol)


def test_each_record_is_handed_over_once(job: MakeJob) -> None:
    one = job("point", [["weight_pruning", {"amount": 0.625}]])
    first, second = answer(one), answer(one)
    kinds = [kind for kind, _, _ in first["records"]]
    assert kinds.count("latency") == 2
    assert {"size", "score"} <= set(kinds)
    assert second["records"] == []
    assert second["result"] == first["result"]


def test_a_cancelled_job_says_so_and_keeps_what_it_has(job: MakeJob) -> None:
    stopped = answer(job("point", [["weight_pruning", {"amount": 0.375}]]), Stopped())
    assert stopped["cancelled"] is True
    assert "result" not in stopped
    assert "error" not in stopped


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"detail": "nowhere", "kind": "weights"}, "layer must be one of "),
        ({"recipe": '[["nothing", {}]]'}, "method must be one of "),
        ({"fingerprint": "0"}, "sample_models.digits_mlp:workload must build the workload 0 here as well, got "),
        ({"reference": "nowhere:nothing"}, "a workload's reference must be module:function, got 'nowhere:nothing': "),
        ({"reference": "os:getcwd"}, "os:getcwd must return a Workload, got str"),
    ],
    ids=["layer", "recipe", "fingerprint", "module", "function"],
)
def test_what_cannot_be_done_is_one_sentence(job: MakeJob, change: dict[str, str], sentence: str) -> None:
    got = answer(replace(job("point", PRUNED), **change))
    assert got["error"].startswith(sentence)
    assert "\n" not in got["error"]
    assert got["records"] == []


def test_the_fault_of_a_model_is_one_sentence(job: MakeJob, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> object:
        raise RuntimeError("not enough memory\nat line 3")

    monkeypatch.setattr("engine.work.view_weights", fails)
    assert answer(job("weights", PRUNED, "first.weight"))["error"] == "the model must run, got: not enough memory"


class Untouched(MemoryStore):
    """A store that must not be asked."""

    def get(self, kind: RecordKind, key: Payload) -> Payload | None:
        raise AssertionError("asked")


def test_only_points_are_looked_up(job: MakeJob) -> None:
    for kind in ("weights", "price"):
        assert look_up(job(kind, PRUNED, "first.weight"), Untouched()) is None
