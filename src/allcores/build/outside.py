"""What outlives a loop's iterations, as far as its work may reach it."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from types import ModuleType
from typing import Any

from allcores.build.watch import Watch
from allcores.engine.randomness import is_stream
from allcores.plan.ownership import is_own_module

MOST_ELSEWHERE = 5000
"""So many objects are looked at that work may come by, though it does not say so."""


class Outside:
    """Where looks at what iterations should leave alone begin."""

    def __init__(
        self,
        names: list[str],
        values: dict[str, Any],
        namespace: dict[str, Any],
        beside: list[tuple[str, Any]],
        spared: list[Any],
        home: str,
        elsewhere: list[tuple[str, Any]] | None = None,
    ) -> None:
        """names: those that work reads, of `values` or else of `namespace`. beside: what else it
        reads, by name. spared: what may change. home: the name of the loop's module.
        elsewhere: what else the program holds, where work may come by any of it.
        """
        self.names, self.values, self.namespace = names, values, namespace
        self.beside, self.spared, self.home = beside, spared, home
        self.elsewhere = elsewhere or []

    def roots(self) -> list[tuple[str, Any]]:
        """Names and values."""
        found = [(n, self.values.get(n, self.namespace.get(n))) for n in self.names]
        return [(n, obj) for n, obj in (*found, *self.beside, *hooks()) if not is_stream(obj)]

    def look(
        self, apart: frozenset[str], spared: Iterable[Any] = (), loose: Iterable[Any] = ()
    ) -> Watch:
        """A look at what all of it holds now. What may change: as for `Watch`."""
        spared = [*self.spared, *spared]
        watch = Watch(self.roots(), apart, spared=spared, loose=loose, home=self.home)
        if self.elsewhere:
            # Apart, for so much may be elsewhere that little room would be left for the rest.
            watch.elsewhere = Watch(
                self.elsewhere, apart, MOST_ELSEWHERE, spared=spared, loose=loose, home=self.home
            )
        return watch


def hooks() -> Iterator[tuple[str, Any]]:
    """The program's functions that Python and NumPy call by themselves."""
    for name in ("excepthook", "unraisablehook", "displayhook"):
        yield f"sys.{name}", getattr(sys, name)
    collector = sys.modules.get("gc")
    if collector is not None:
        yield from (("gc.callbacks", hook) for hook in collector.callbacks)
    asked = getattr(sys.modules.get("numpy"), "geterrcall", None)
    if asked is not None:
        yield "np.geterrcall()", asked()


def of_modules(home: dict[str, Any], names: Iterable[str]) -> Iterator[tuple[str, Any]]:
    """What the program's modules hold. Of the one whose variables are `home`: what has these names."""
    for name, module in list(sys.modules.items()):
        if type(module) is ModuleType and is_own_module(name) and vars(module) is not home:
            yield name, vars(module)
    for name in names:
        if name in home and not name.startswith("__"):
            yield name, home[name]
