"""What reading a loop gives: a Plan, and the sentences' raw material in it."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

Verdict = Literal["parallel", "serial", "nothing to gain"]


class Reason(NamedTuple):
    """Why a loop stays serial (or gains nothing): the line in the file, and a sentence."""

    line: int
    text: str


class Commit(NamedTuple):
    """A statement that runs in order in the user's process; `·` stands for what workers send."""

    line: int
    source: str


@dataclass(slots=True)
class Step:
    """How one statement of the body is carried out, for whoever makes code of the Plan."""

    node: ast.stmt
    lifts: list[ast.expr] = field(default_factory=list)
    """Sub-expressions evaluated by the worker and sent with the record, in evaluation order."""
    several: bool = False
    """True where running it may have changed something before it raises."""


@dataclass(slots=True)
class Plan:
    """How one `for` statement would run. Made by reading alone: nothing has been run.

    `verdict` is "parallel", "serial" or "nothing to gain"; `reasons` say why it is not "parallel".
    `varying` are the loop's targets, `fixed` the names that work reads and the loop leaves alone,
    `work` the source of what workers do and `commits` what is done in order in the user's process.
    The remaining fields are for the code builder.
    """

    file: str
    line: int
    function: str
    node: ast.For | ast.AsyncFor
    verdict: Verdict = "serial"
    reasons: list[Reason] = field(default_factory=list)
    varying: list[str] = field(default_factory=list)
    fixed: list[str] = field(default_factory=list)
    work: list[str] = field(default_factory=list)
    commits: list[Commit] = field(default_factory=list)

    module_level: bool = True
    class_name: str = ""
    steps: dict[ast.stmt, Step] = field(default_factory=dict)
    """The statements that are commits; every other statement of the body is work."""
    guards: dict[ast.stmt, list[tuple[str, str]]] = field(default_factory=dict)
    """Statements that must look at a name first: ("own" | "immutable", name)."""
    mirrors: dict[ast.stmt, list[str]] = field(default_factory=dict)
    """Work statements whose names are bound in the parent as well, as part of the record."""
    parent_names: set[str] = field(default_factory=set)
    """Names bound in the body that live in the user's process: carried, or bound by a commit."""
    temporaries: list[str] = field(default_factory=list)
    """Names bound by work that may be read when the loop is over."""
    kept: set[str] = field(default_factory=set)
    """Those of the temporaries that some iterations leave unbound."""
    deleted: set[str] = field(default_factory=set)
    """Names that every iteration leaves deleted."""
    unbinds: set[str] = field(default_factory=set)
    """Variables of the function that the body deletes, by `del` or as `except ... as name`."""
    declared_global: set[str] = field(default_factory=set)
    changed: dict[str, bool] = field(default_factory=dict)
    """Paths such as "self.results" that commits change; True: things inside them, too."""
    work_reads: set[str] = field(default_factory=set)
    """Paths outside the loop that work reads."""
    iterable_reads: set[str] = field(default_factory=set)
    outer_reads: set[str] = field(default_factory=set)
    """Names bound outside the body that work or commits read."""
    builtins_used: set[str] = field(default_factory=set)
    lists_only: set[str] = field(default_factory=set)
    """Paths that must be plain lists, because an append inside a `try` must not raise."""
    handler_names: set[str] = field(default_factory=set)
    straight: bool = True
    """True when every iteration makes the same commits, all at the top of the body."""
    leaves_by_commit: bool = False
    """True when a commit may `break`."""
    can_leave: bool = False
    caught: bool = False
    """True when what the loop raises may be caught in the same function."""
