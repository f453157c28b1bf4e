"""Hypothesis: types as people annotate parameters with, and values of them."""

import enum
from collections.abc import Iterator
from dataclasses import make_dataclass
from datetime import date, datetime, time, timedelta
from itertools import count
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, Union
from uuid import UUID

from hypothesis import strategies as st
from pydantic import Field, create_model

__all__ = ["Typed", "typed"]


class Typed(NamedTuple):
    """An annotation, and what fills it."""

    annotation: Any
    values: st.SearchStrategy[Any]


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 10


_numbers: Iterator[int] = count()
SIMPLE = (
    Typed(str, st.text()),
    Typed(int, st.integers(-(2**53), 2**53)),
    Typed(float, st.floats(allow_nan=False, allow_infinity=False)),
    Typed(bool, st.booleans()),
    Typed(type(None), st.none()),
    Typed(date, st.dates()),
    Typed(datetime, st.datetimes()),
    Typed(time, st.times()),
    Typed(timedelta, st.timedeltas(timedelta(0), timedelta(days=1000))),
    Typed(UUID, st.uuids()),
    Typed(Path, st.sampled_from([Path("a.txt"), Path("/tmp/b")])),
    Typed(Colour, st.sampled_from(Colour)),
    Typed(Level, st.sampled_from(Level)),
    Typed(Literal["x"], st.just("x")),
    Typed(Literal["x", 2, None], st.sampled_from(["x", 2, None])),
    Typed(Annotated[int, Field(gt=0, le=9)], st.integers(1, 9)),
    Typed(Annotated[int, Field(ge=10**20)], st.integers(10**20, 10**21)),
    Typed(Annotated[float, Field(gt=0, multiple_of=0.5)], st.sampled_from([0.5, 7.0])),
    Typed(Annotated[str, Field(pattern=r"^\d+$", max_length=5_000)], st.just("12")),
    Typed(Annotated[str, Field(min_length=2, description="Two.")], st.text(min_size=2)),
)


def containers(inner: st.SearchStrategy[Typed]) -> st.SearchStrategy[Typed]:
    """Types made of others: each a way to write the annotation, and its values."""
    return st.one_of(
        inner.map(lambda one: _typed(list, one, st.lists(one.values, max_size=3))),
        inner.map(
            lambda one: Typed(
                _subscript(dict, str, one.annotation),
                st.dictionaries(st.text(), one.values, max_size=3),
            )
        ),
        inner.map(
            lambda one: Typed(_subscript(Union, one.annotation, None), st.none() | one.values)
        ),
        st.tuples(inner, inner).map(
            lambda two: Typed(
                _subscript(tuple, two[0].annotation, two[1].annotation),
                st.tuples(two[0].values, two[1].values),
            )
        ),
        inner.map(
            lambda one: Typed(
                _subscript(tuple, one.annotation, ...),
                st.lists(one.values, max_size=3).map(tuple),
            )
        ),
        st.lists(inner, min_size=1, max_size=3).map(_dataclass),
        st.lists(inner, min_size=1, max_size=3).map(_model),
    )


def _typed(generic: Any, one: Typed, values: st.SearchStrategy[Any]) -> Typed:
    return Typed(_subscript(generic, one.annotation), values)


def _subscript(generic: Any, *arguments: Any) -> Any:
    """`generic[arguments]`, of types that only the run knows."""
    return generic[arguments if len(arguments) > 1 else arguments[0]]


def _dataclass(fields: list[Typed]) -> Typed:
    names = [f"part_{number}" for number in range(len(fields))]
    made = make_dataclass(
        f"Data{next(_numbers)}",
        [(name, field.annotation) for name, field in zip(names, fields, strict=True)],
    )
    return Typed(made, st.tuples(*(field.values for field in fields)).map(lambda got: made(*got)))


def _model(fields: list[Typed]) -> Typed:
    # A default that is no null where null is not taken: the one that strict mode has to give back.
    parts: dict[str, Any] = {
        f"part_{number}": (field.annotation, ...) for number, field in enumerate(fields)
    }
    made: Any = create_model(f"Model{next(_numbers)}", **parts, extra=(int, 7))
    values = st.tuples(*(field.values for field in fields)).map(
        lambda got: made(**{f"part_{number}": value for number, value in enumerate(got)})
    )
    return Typed(made, values)


typed = st.recursive(st.sampled_from(SIMPLE), containers, max_leaves=6)
