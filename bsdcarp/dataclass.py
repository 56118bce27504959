"""``dataclasses.dataclass``, made in a fifth of the time.

The standard decorator writes and compiles up to eleven methods for every class, 0.7 ms each on the machine of
docs/performance.md; a verb imports some hundred and fifty such classes, and this was a fifth of all Python that an
apply runs.  Here the classes are the standard ones (fields, ``replace``, slots, pattern matching), but their methods
are shared functions that look the fields up, and ``__init__`` is compiled when the first object is made.  Type
checkers see the standard decorator, whose behaviour tests/test_dataclass.py holds this one to.

``carp``, ``carpd`` and ``lab`` keep the standard one: the first two stand alone, and the third starts once.
"""

from __future__ import annotations

import dataclasses
import operator
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

__all__ = ["dataclass"]

if TYPE_CHECKING:
    from dataclasses import dataclass
else:

    def dataclass(*, frozen: bool = False, slots: bool = False, order: bool = False) -> Callable[[type], type]:
        """Return the decorator: the options are those of :func:`dataclasses.dataclass` that this project uses."""

        def decorated(cls: type) -> type:
            own = vars(cls)
            made = dataclasses.dataclass(init=False, repr=False, eq=False, slots=slots)(cls)
            made.__init__ = _init_once_needed(made, frozen=frozen)
            methods = {**_COMMON, **(_FROZEN if frozen else _CHANGING), **(_ORDERED if order else {})}
            for name, method in methods.items():
                if name not in own:
                    setattr(made, name, method)
            return made

        return decorated


def _init_once_needed(cls: type, *, frozen: bool) -> Callable[..., None]:
    def first(self: Any, /, *args: Any, **kwargs: Any) -> None:
        made = _init(cls, frozen=frozen)
        cls.__init__ = made  # type: ignore[misc]  # this one served its purpose
        made(self, *args, **kwargs)

    return first


def _init(cls: type, *, frozen: bool) -> Callable[..., None]:
    names: dict[str, Any] = {"_given": object(), "_set": object.__setattr__}
    parameters, body = ["self"], []
    for field in dataclasses.fields(cls):
        value = field.name
        if field.default is not dataclasses.MISSING:
            names[f"_default_{field.name}"] = field.default
            default = f"_default_{field.name}"
        elif field.default_factory is not dataclasses.MISSING:
            names[f"_make_{field.name}"] = field.default_factory
            default = "_given"
            made = f"_make_{field.name}()"
            value = f"{made} if {field.name} is _given else {field.name}" if field.init else made
        else:
            default = ""
        if field.init:
            parameters.append(f"{field.name}={default}" if default else field.name)
        elif default and default != "_given":
            value = default
        elif not default:
            continue  # __post_init__ sets it
        body.append(f"_set(self, {field.name!r}, {value})" if frozen else f"self.{field.name} = {value}")
    if hasattr(cls, "__post_init__"):
        body.append("self.__post_init__()")
    source = f"def __init__({', '.join(parameters)}):\n    " + "\n    ".join(body or ["pass"])
    exec(source, names)  # noqa: S102  # made of names of fields, as the standard library does it
    made_init: Callable[..., None] = names["__init__"]
    made_init.__qualname__ = f"{cls.__qualname__}.__init__"
    return made_init


def _compared(self: Any) -> tuple[Any, ...]:
    return tuple(getattr(self, name) for name, field in self.__dataclass_fields__.items() if field.compare)


def _repr(self: Any) -> str:
    shown = (f"{n}={getattr(self, n)!r}" for n, field in self.__dataclass_fields__.items() if field.repr)
    return f"{self.__class__.__qualname__}({', '.join(shown)})"


def _eq(self: Any, other: object) -> bool:
    return _compared(self) == _compared(other) if other.__class__ is self.__class__ else NotImplemented


def _hash(self: Any) -> int:
    return hash(_compared(self))


def _compare(relation: Callable[[Any, Any], bool]) -> Callable[[Any, object], bool]:
    def compare(self: Any, other: object) -> bool:
        same = other.__class__ is self.__class__
        return relation(_compared(self), _compared(other)) if same else NotImplemented

    return compare


def _no_set(self: Any, name: str, value: object) -> None:
    del self, value
    raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")


def _no_delete(self: Any, name: str) -> None:
    del self
    raise dataclasses.FrozenInstanceError(f"cannot delete field {name!r}")


def _getstate(self: Any) -> list[Any]:
    return [getattr(self, name) for name in self.__dataclass_fields__]


def _setstate(self: Any, state: list[Any]) -> None:
    for name, value in zip(self.__dataclass_fields__, state, strict=True):
        object.__setattr__(self, name, value)


_COMMON = {"__repr__": _repr, "__eq__": _eq, "__getstate__": _getstate, "__setstate__": _setstate}
_FROZEN = {"__hash__": _hash, "__setattr__": _no_set, "__delattr__": _no_delete}
_CHANGING = {"__hash__": None}
_ORDERED = {f"__{name}__": _compare(getattr(operator, name)) for name in ("lt", "le", "gt", "ge")}
