"""The Plan of the loop at hand: made when it is first entered, and again for other objects."""

from __future__ import annotations

import sys
import warnings
from types import CodeType, FrameType
from typing import TYPE_CHECKING, Any

from allcores.engine.interrupts import Interrupts, from_handler
from allcores.inputs import Atoms, gives_atoms, items_left, plain_source
from allcores.loop import NotParallel, ParallelWarning
from allcores.plan.handles import explained
from allcores.plan.hearing import COUNTS_WARNINGS
from allcores.plan.live import Names, looks_the_same, mark_at
from allcores.plan.ownership import is_own_module
from allcores.plan.source import Surroundings
from allcores.plan.split import split
from allcores.settings import Settings
from allcores.sites import Site
from allcores.streams import wanted
from allcores.worth import WORTH_SECONDS

if TYPE_CHECKING:
    from allcores.plan.model import Plan

MOST_PLANS = 4
"""A site keeps so many Plans, each for other functions and objects."""
TOO_DEEP = "the program is too deep in calls here for the loop to be read"


def why_serial(site: Site, frame: FrameType, iterable: Any, settings: Settings) -> str | None:
    """None: go on. Otherwise why the loop runs serially; "" where nothing need be said."""
    if site.problem:
        return site.problem
    own = wanted(settings)
    try:
        if site.plan is None or site.node is not site.plan.node or site.running is None:
            with Interrupts().held_back():
                make_plan(site, frame, gives_atoms(iterable), own)
        elif not (
            site.plan.own_streams == own
            and (site.plan.tried_of_atoms or site.plan.of_atoms == gives_atoms(iterable))
            and _still_holds(site.plan, frame)
        ):
            with Interrupts().held_back():
                _plan_again(site, frame, gives_atoms(iterable), own)
    except RecursionError:
        return TOO_DEEP
    except Exception as error:
        if from_handler(error):
            raise
        # Our failing to read a loop is no reason for it not to run.
        site.problem = f"reading it failed, which is a bug of allcores: {error!r}"
        if not settings.asked:
            print(f"allcores: bug: {site.filename}:{site.line}: {error!r}", file=sys.stderr)
        return site.problem
    plan = site.plan
    assert plan is not None
    gain = plan.verdict == "nothing to gain"
    if plan.verdict == "parallel" or (gain and settings.keeps_workers):
        return None
    if plan.verdict == "nothing to gain" and not settings.strict:
        return ""
    return plan.why_not()


def make_plan(site: Site, frame: FrameType, of_atoms: Atoms | None, own_streams: bool) -> None:
    """Read the loop with the live objects at hand. of_atoms: as `gives_atoms` tells."""
    assert site.node is not None and site.module is not None
    module_level = not any(not hasattr(n, "bases") for n in site.chain)
    names = {} if module_level else locals_of(frame)

    def plan_of(of_atoms: Atoms | None) -> Plan:
        assert site.node is not None and site.module is not None
        live = Names(names, frame.f_globals, of_loop=True)
        around = Surroundings(site.module, site.chain, live)
        around.reading.mark = mark_at
        plan = split(site.node, site.chain, site.module, around, own_streams, of_atoms)
        plan.asked = tuple(around.reading.asked.values())
        plan.modules = len(sys.modules), own_modules()
        return plan

    # What is done to the items, or to what holds them, may be of no matter.
    plan = plan_of(of_atoms)
    if of_atoms is not None and plan.verdict != "parallel":
        plan = plan_of(None)
        plan.tried_of_atoms = True
    if plan.verdict == "serial":
        plan.reasons = explained(plan.reasons, names, frame.f_globals)
    site.plan = plan
    site.running = frame.f_code
    site.code = {}


def _still_holds(plan: Plan, frame: FrameType) -> bool:
    """Whether the functions and objects at hand look as they did when the loop was read."""
    if imported_since(plan):
        return False
    local = any(asked.namespace is None for asked in plan.asked)
    return looks_the_same(plan.asked, locals_of(frame) if local else {}, frame.f_globals)


def imported_since(plan: Plan) -> bool:
    """Whether modules of the program were imported since the loop was read: functions may import
    them, and nothing was known of what these do."""
    count, known = plan.modules
    if len(sys.modules) == count:
        return False
    if not own_modules() <= known:
        return True
    plan.modules = len(sys.modules), known
    return False


def own_modules() -> frozenset[str]:
    """The names of the program's modules."""
    return frozenset(filter(is_own_module, list(sys.modules)))


def _plan_again(site: Site, frame: FrameType, of_atoms: Atoms | None, own_streams: bool) -> None:
    """The Plan for other objects than the last ones: one of those made before, or a new one."""
    assert site.plan is not None
    others = site.earlier
    others.insert(0, (site.plan, site.code))
    for k, (plan, code) in enumerate(others):
        suits = plan.tried_of_atoms or plan.of_atoms == of_atoms
        if suits and plan.own_streams == own_streams and _still_holds(plan, frame):
            site.plan, site.code = plan, code
            del others[k]
            return
    del others[MOST_PLANS - 1 :]
    make_plan(site, frame, of_atoms, own_streams)


def say_serial(site: Site, why: str, settings: Settings) -> None:
    text = f"this loop runs serially: {why}{settings.in_vain()}"
    if settings.strict:
        raise NotParallel(f"{site.filename}:{site.line}: {text}")
    # Where the body looks at the warnings there were, one of ours would be counted.
    if settings.asked and why not in site.warned and not why.endswith(COUNTS_WARNINGS):
        site.warned.add(why)
        warnings.warn_explicit(text, ParallelWarning, site.filename, site.line)


def say_in_vain(why: str, frame: FrameType, settings: Settings) -> None:
    """Where a loop runs serially without a word: one if what was asked for needs workers."""
    if not settings.only_in_workers:
        return
    file, line = frame.f_code.co_filename, frame.f_lineno
    text = f"this loop runs serially: {why}{settings.in_vain()}"
    if settings.strict:
        raise NotParallel(f"{file}:{line}: {text}")
    registry = frame.f_globals.setdefault("__warningregistry__", {})
    warnings.warn_explicit(text, ParallelWarning, file, line, registry=registry)


def surely_small(site: Site, iterable: Any) -> bool:
    """Whether all of the loop costs less than bringing in workers, going by earlier entries.

    Every 16th entry is timed again, for the next entries may be heavier.
    """
    site.entries += 1
    if (
        site.entries % 16 == 0
        or site.cost is None
        or site.plan is None
        or site.plan.verdict != "parallel"
    ):
        return False
    if not plain_source(iterable):
        return False
    left = items_left(iterable if hasattr(iterable, "__next__") else iter(iterable))
    return left is not None and left * site.cost < WORTH_SECONDS


def names_of(code: CodeType) -> frozenset[str]:
    """The names of a function's variables."""
    return frozenset(code.co_varnames) | frozenset(code.co_cellvars) | frozenset(code.co_freevars)


def locals_of(frame: FrameType) -> dict[str, Any]:
    """A function's variables and their values.

    What `exec` has put among a frame's locals is none of them: the code of the function cannot see it.
    """
    names = names_of(frame.f_code)
    return {name: value for name, value in frame.f_locals.items() if name in names}
