"""Our decorator makes what the standard one makes, only sooner."""

from __future__ import annotations

import copy
import dataclasses
import pickle
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

import bsdcarp.dataclass as ours

Decorator = Callable[..., Any]


def build(dataclass: Decorator, **options: bool) -> type[Any]:
    @dataclass(**options)
    class Point:
        """A point."""

        x: int
        y: int = 2
        name: str = dataclasses.field(default="p", compare=False)
        secret: str = dataclasses.field(default="hidden", repr=False)
        seen: list[int] = dataclasses.field(default_factory=list)

        @property
        def sum(self) -> int:
            return self.x + self.y

    return Point


OPTIONS = [
    {"frozen": frozen, "slots": slots, "order": order}
    for frozen in (True, False)
    for slots in (True, False)
    for order in (True, False)
]


@pytest.fixture(params=OPTIONS, ids=str)
def pair(request: pytest.FixtureRequest) -> tuple[type[Any], type[Any]]:
    """The same class, made by the standard decorator and by ours."""
    return build(dataclasses.dataclass, **request.param), build(ours.dataclass, **request.param)


MADE: list[Callable[[type[Any]], Any]] = [
    lambda c: c(1),
    lambda c: c(1, 5),
    lambda c: c(x=1, name="other"),
    lambda c: c(1, secret="s", seen=[3]),
    lambda c: dataclasses.replace(c(4, 4), x=1, y=2),
]


def told(made: Callable[[type[Any]], Any], cls: type[Any]) -> tuple[Any, ...]:
    value = made(cls)
    return repr(value), dataclasses.astuple(value), value.sum, value.__doc__, cls.__match_args__


@pytest.mark.parametrize("made", MADE)
def test_objects_look_the_same(pair: tuple[type[Any], type[Any]], made: Callable[[type[Any]], Any]) -> None:
    standard, own = pair
    assert told(made, own) == told(made, standard)


def outcome(question: Callable[[], Any]) -> Any:
    try:
        return question()
    except (TypeError, AttributeError) as error:
        return type(error)


@pytest.mark.parametrize(
    "question",
    [
        lambda c: [a(c) == b(c) for a in MADE for b in MADE],
        lambda c: c(1) == (1, 2),
        lambda c: c(1) == object(),
        lambda c: len({hash(a(c)) for a in MADE}),
        lambda c: [a(c) < b(c) for a in MADE for b in MADE],
        lambda c: [c(1) <= c(2), c(1) > c(2), c(2) >= c(2)],
        lambda c: c(1) < 3,
        lambda c: setattr(c(1), "x", 3),
        lambda c: delattr(c(1), "x"),
        lambda c: c(),
        lambda c: c(1, nonsense=3),
        lambda c: c(1, 2, "n", "s", [], 6),
        lambda c: c(1, x=2),
        lambda c: c(1).seen is c(1).seen,
        lambda c: copy.copy(c(1)) == c(1),
        lambda c: copy.deepcopy(c(1)) == c(1),
        lambda c: hasattr(c(1), "__dict__"),
    ],
)
def test_answers_are_the_same(pair: tuple[type[Any], type[Any]], question: Callable[[type[Any]], Any]) -> None:
    standard, own = pair
    # Both classes live in this module under one name, so the lists of their hashes have the same length.
    assert outcome(lambda: question(own)) == outcome(lambda: question(standard))


def test_a_hash_that_cannot_be_is_refused_where_the_standard_one_refuses_it() -> None:
    hidden = {"frozen": True}
    standard, own = build(dataclasses.dataclass, **hidden), build(ours.dataclass, **hidden)
    for cls in (standard, own):
        with pytest.raises(TypeError, match="unhashable type: 'list'"):
            hash(cls(1))


@ours.dataclass(frozen=True, slots=True)
class Sent:
    a: int
    b: str = "b"


def test_pickling_survives_frozen_slots() -> None:
    assert pickle.loads(pickle.dumps(Sent(1, "c"))) == Sent(1, "c")


def test_what_a_class_says_itself_stays() -> None:
    @ours.dataclass(frozen=True, slots=True)
    class Own:
        a: int

        def __repr__(self) -> str:
            return "own"

        def __eq__(self, other: object) -> bool:
            return True

        def __hash__(self) -> int:
            return 7

    assert (repr(Own(1)), Own(1) == 3, hash(Own(1))) == ("own", True, 7)


def test_what_comes_after_init_can_set_what_init_does_not() -> None:
    @ours.dataclass(frozen=True, slots=True)
    class Derived:
        a: int
        twice: int = dataclasses.field(init=False)
        fixed: int = dataclasses.field(init=False, default=9)
        listed: list[int] = dataclasses.field(init=False, default_factory=list)

        def __post_init__(self) -> None:
            object.__setattr__(self, "twice", 2 * self.a)

    assert dataclasses.astuple(Derived(4)) == (4, 8, 9, [])


def test_a_subclass_adds_its_fields() -> None:
    @ours.dataclass(frozen=True, slots=True)
    class Base:
        a: int

    @ours.dataclass(frozen=True, slots=True)
    class More(Base):
        b: int = 1

    assert dataclasses.astuple(More(5)) == (5, 1)
    assert dataclasses.astuple(Base(5)) == (5,)
    assert Base(5) != More(5)


def test_pattern_matching_works() -> None:
    match Sent(1, "c"):
        case Sent(1, b):
            assert b == "c"
        case _:
            pytest.fail("no match")


def test_nothing_is_compiled_for_a_class_of_which_there_is_no_object() -> None:
    code = (
        "import builtins, bsdcarp.dataclass as d\n"
        "ran = []\nreal = builtins.exec\nbuiltins.exec = lambda *a: (ran.append(1), real(*a))\n"
        "@d.dataclass(frozen=True, slots=True, order=True)\n"
        "class A:\n    a: int\n"
        "before = len(ran)\nA(1)\nA(2)\nprint(before, len(ran))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "0 1\n"
