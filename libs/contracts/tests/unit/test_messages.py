"""What every message keeps to, whatever it is about: its name, its types, and that readers bear what they don't know."""

import re
import types
import typing
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any, ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import AwareDatetime, BaseModel, ValidationError
from pydantic.fields import FieldInfo

from contracts import Command, Contract, Event, LaneEvent, Query, all_contracts, contract_for
from contracts.base import ChargerEvent
from contracts.payments import PaymentBilled
from contracts.settlement import LedgerEntryCreated
from contracts.topology import SERVICES

MODELS = list(all_contracts().values())
names = pytest.mark.parametrize("model", MODELS, ids=lambda model: model.TYPE)


def annotations_in(annotation: Any) -> set[Any]:
    """An annotation and all that it is made of."""
    found = {annotation} if not typing.get_args(annotation) else set()
    for part in typing.get_args(annotation):
        found |= annotations_in(part) if not isinstance(part, FieldInfo | str) else set()
    return found


@names
def test_a_type_is_the_producers_noun_and_verb_with_a_version(model: type[Contract]) -> None:
    assert re.fullmatch(r"[a-z_]+\.[a-z]+(_[a-z]+)+\.v[1-9][0-9]*", model.TYPE)
    assert model.producer() in SERVICES
    assert contract_for(model.TYPE) is model
    assert model.__doc__, "say what it is"


@names
def test_wishes_are_asked_and_facts_have_happened(model: type[Contract]) -> None:
    """Also the wishes that go through a lane: `..._requested` is what the addressee is asked for."""
    wish = model.TYPE.split(".")[1].endswith("_requested")
    if issubclass(model, Command | Query):
        assert wish
    elif issubclass(model, ChargerEvent) or (issubclass(model, Event) and not issubclass(model, LaneEvent)):
        assert not wish


@names
def test_quantities_are_whole_and_times_know_their_zone(model: type[Contract]) -> None:
    for name, field in model.model_fields.items():
        parts = annotations_in(field.annotation)
        if re.search(r"_(paise|wh|bps|ms)$|_paise_per_kwh$", name):
            assert parts <= {int, types.NoneType}, f"{name} is an exact quantity"
            assert field.description or parts, name
        assert float not in parts or name.endswith("_seconds"), f"{name}: only a wait may be a float"
        naive = {part for part in parts if part is datetime}
        assert not naive or _aware(field), f"{name} must be an AwareDatetime"


def _aware(field: FieldInfo) -> bool:
    return "Aware" in repr(field.metadata) or "AwareDatetime" in repr(field.annotation)


@names
def test_it_can_be_read_by_a_program(model: type[Contract]) -> None:
    schema = model.model_json_schema(mode="serialization")
    assert schema["type"] == "object"
    assert set(model.model_fields) <= set(schema.get("properties", {}))


@names
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_what_was_sent_is_what_is_read_and_unknown_fields_are_borne(model: type[Contract], data: st.DataObject) -> None:
    made = data.draw(instances(model))
    wire = made.model_dump(mode="json")
    assert model.model_validate_json(made.model_dump_json()) == made
    assert model.model_validate({**wire, "a_field_of_tomorrow": {"deep": [1]}}) == made
    with pytest.raises(ValidationError, match="frozen"):
        setattr(made, next(iter(model.model_fields)), None)


def instances(model: type[BaseModel]) -> st.SearchStrategy[Any]:
    """Messages as their fields allow."""
    return st.fixed_dictionaries({name: _values(field) for name, field in model.model_fields.items()}).map(model.model_validate)


def _values(field: FieldInfo) -> st.SearchStrategy[Any]:
    limits: dict[str, Any] = {}
    for rule in field.metadata:
        limits |= {name: getattr(rule, name) for name in ("ge", "gt", "le", "min_length", "max_length") if hasattr(rule, name)}
    return _of(field.annotation, limits)


def _of(annotation: Any, limits: dict[str, Any]) -> st.SearchStrategy[Any]:
    origin, parts = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        inner = {}
        for rule in parts[1:]:
            for one in getattr(rule, "metadata", None) or [rule]:
                inner |= {n: getattr(one, n) for n in ("ge", "gt", "le", "min_length", "max_length") if hasattr(one, n)}
        return _of(parts[0], limits | inner)
    if origin in (typing.Union, types.UnionType):
        return st.one_of([_of(part, limits) for part in parts])
    if origin in (list, tuple):
        return st.lists(_of(parts[0], {}), max_size=2).map(origin)
    if origin is dict:
        return st.dictionaries(st.text(max_size=5), st.integers(), max_size=2)
    if annotation in (types.NoneType, None):
        return st.none()
    if annotation is bool:
        return st.booleans()
    if annotation is int:
        low = limits.get("ge", limits["gt"] + 1 if "gt" in limits else -(2**40))
        return st.integers(low, limits.get("le", 2**40))
    if annotation is str:
        return st.text(min_size=limits.get("min_length", 0), max_size=limits.get("max_length", 40))
    if annotation is float:
        return st.floats(0, 1e6)
    if annotation is Any:
        return st.integers()
    if annotation is datetime or annotation is AwareDatetime:
        return st.integers(0, 10**9).map(lambda seconds: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds))
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return st.sampled_from(list(annotation))
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return instances(annotation)
    raise AssertionError(f"how is a {annotation} made?")


def test_two_contracts_cannot_have_one_name() -> None:
    with pytest.raises(TypeError, match=r"two contracts are called payments\.payment_billed\.v1"):

        class Impostor(Event):
            """Another model under the name of a contract."""

            TYPE: ClassVar[str] = PaymentBilled.TYPE


def test_a_naive_time_is_refused() -> None:
    with pytest.raises(ValidationError, match="timezone"):
        LedgerEntryCreated.model_validate(
            dict.fromkeys(LedgerEntryCreated.model_fields, 1) | {"created_at": "2026-01-05T10:00:00"}
        )


@names
def test_a_question_names_its_answer(model: type[Contract]) -> None:
    if issubclass(model, Query):
        assert model.ANSWER in MODELS
        assert model.ANSWER.producer() == model.producer()
