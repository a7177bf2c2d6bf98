from __future__ import annotations

import json
import pickle

import pytest

from engine import InvalidCoefficient, InvalidInput, Message, SecateurError, StoreUnavailable, UnknownName, unknown
from engine import errors as module

SENTENCE = "{method}: {name} must be at least {low:g}, got {got!r}"
FIELDS = {"method": "weight_pruning", "name": "amount", "low": 0.25, "got": "{odd}"}


def tree(kind: type[SecateurError]) -> list[type[SecateurError]]:
    public = [child for child in kind.__subclasses__() if not child.__name__.startswith("_")]
    return [kind, *(below for child in public for below in tree(child))]


KINDS = tree(SecateurError)
every_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)


@every_kind
def test_an_error_is_one_sentence_made_from_a_template_and_fields(kind: type[SecateurError]) -> None:
    error = kind(SENTENCE, **FIELDS)
    assert str(error) == "weight_pruning: amount must be at least 0.25, got '{odd}'"
    assert error.message == Message(SENTENCE, FIELDS)


@every_kind
def test_an_error_crosses_to_another_process_whole(kind: type[SecateurError]) -> None:
    error = kind(SENTENCE, **FIELDS)
    again = pickle.loads(pickle.dumps(error))  # noqa: S301
    assert type(again) is kind
    assert str(again) == str(error)
    assert again.message == error.message


def test_fields_that_do_not_pickle_cross_as_text() -> None:
    error = StoreUnavailable("the store must open: {why}", why=ValueError(lambda: None))
    again = pickle.loads(pickle.dumps(error))  # noqa: S301
    assert str(again) == str(error)


@every_kind
def test_the_tree_in_the_docstring_names_every_error(kind: type[SecateurError]) -> None:
    assert kind.__name__ in (module.__doc__ or "").split()
    assert kind.__doc__


def test_bad_input_is_a_value_error_too() -> None:
    assert issubclass(InvalidInput, ValueError)
    assert issubclass(InvalidCoefficient, InvalidInput)
    assert issubclass(UnknownName, InvalidInput)


def test_a_message_as_plain_data() -> None:
    plain = Message("{a} {b} {c}", {"a": 1, "b": 0.5, "c": [1]}).to_dict()
    assert json.loads(json.dumps(plain)) == {"key": "{a} {b} {c}", "fields": {"a": 1, "b": 0.5, "c": "[1]"}}


@pytest.mark.parametrize(
    ("got", "said"),
    [
        ("weight_prunning", "'weight_prunning', did you mean 'weight_pruning'?"),
        ("xyz", "'xyz'"),
        (3, "'3'"),
        (None, "'None'"),
    ],
)
def test_an_unknown_name_is_met_with_what_there_is_and_the_nearest(got: object, said: str) -> None:
    error = unknown("method", got, {"weight_pruning": 1, "layer_pruning": 2})
    assert str(error) == "method must be one of layer_pruning, weight_pruning; got " + said


@pytest.mark.parametrize("got", ["x" * 100_000, [["y"] * 500] * 500, 10**5000], ids=["text", "list", "number"])
def test_a_huge_name_is_cut_short(got: object) -> None:
    assert len(str(unknown("method", got, ["weight_pruning"]))) < 200
