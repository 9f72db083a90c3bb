"""What reading a loop gives: a Plan, and the sentences' raw material in it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from allcores.plan.summaries import Asked

Verdict = Literal["parallel", "serial", "nothing to gain"]


class Reason(NamedTuple):
    """Why a loop stays serial (or gains nothing): the line in the file, and a sentence."""

    line: int
    text: str


class Commit(NamedTuple):
    """A statement that runs in order in the user's process; `·` stands for what workers send."""

    line: int
    source: str


class Step:
    """How one statement of the body is carried out, for whoever makes code of the Plan."""

    def __init__(self, node: ast.stmt, lifts: list[ast.expr], several: bool = False) -> None:
        self.node = node
        self.lifts = lifts
        """Sub-expressions evaluated by the worker and sent with the record, in evaluation order."""
        self.several = several
        """True where running it may have changed something before it raises."""


class Plan:
    """How one `for` statement would run. Made by reading alone: nothing has been run.

    `verdict` is "parallel", "serial" or "nothing to gain"; `reasons` say why it is not "parallel".
    `varying` are the loop's targets, `fixed` the names that work reads and the loop leaves alone,
    `work` the source of what workers do and `commits` what is done in order in the user's process.
    The remaining attributes are for the code builder.
    """

    def __init__(
        self,
        file: str,
        line: int,
        function: str,
        node: ast.For | ast.AsyncFor,
        module_level: bool = True,
    ) -> None:
        self.file, self.line, self.function, self.node = file, line, function, node
        self.verdict: Verdict = "serial"
        self.reasons: list[Reason] = []
        self.varying: list[str] = []
        self.fixed: list[str] = []
        self.work: list[str] = []
        self.commits: list[Commit] = []

        self.module_level = module_level
        self.class_name = ""
        self.steps: dict[ast.stmt, Step] = {}
        """The statements that are commits; every other statement of the body is work."""
        self.guards: dict[ast.stmt, list[tuple[str, str]]] = {}
        """Statements that must look at a name first: ("own" | "immutable", name)."""
        self.look_at_exception: set[ast.stmt] = set()
        """Commits that look at the exception being handled: the loop's own body does these."""
        self.mirrors: dict[ast.stmt, list[str]] = {}
        """Work statements whose names are bound in the parent as well, as part of the record."""
        self.parent_names: set[str] = set()
        """Names bound in the body that live in the user's process: carried, or bound by a commit."""
        self.temporaries: list[str] = []
        """Names bound by work that may be read when the loop is over."""
        self.kept: set[str] = set()
        """Those of the temporaries that some iterations leave unbound."""
        self.bound_late: frozenset[str] = frozenset()
        """Those of the temporaries that are first bound after a commit, which may raise before."""
        self.own_streams = False
        """Whether iterations may draw from random streams of their own."""
        self.draws: dict[str, tuple[int, str]] = {}
        """The streams that they draw from, of which each iteration has its own: line and words."""
        self.seeded: set[str] = set()
        """The streams that every iteration seeds before it draws from them."""
        self.workers_own: set[str] = set()
        """Those of the temporaries that are what a worker has of its own: they cannot be sent, so
        that the last iteration, which binds them for good, is done in the user's process."""
        self.wanted_at_home: set[str] = set()
        """Temporaries for which the last iteration is done in the user's process and nowhere else: a
        worker may not be able to send them, and the body does what cannot be done twice."""
        self.deleted: set[str] = set()
        """Names that every iteration leaves deleted."""
        self.unbinds: set[str] = set()
        """Variables of the function that the body deletes, by `del` or as `except ... as name`."""
        self.declared_global: set[str] = set()
        self.changed: dict[str, bool] = {}
        """Paths such as "self.results" that commits change; True: things inside them, too."""
        self.perhaps_changed: set[str] = set()
        """Paths to what commits change if it is part of a result that they have been given."""
        self.work_reads: set[str] = set()
        """Paths outside the loop that work reads."""
        self.talks: set[str] = set()
        """Paths that must be loggers or standard streams when the loop begins."""
        self.locks: set[str] = set()
        """Paths that must be locks, and free, when the loop begins."""
        self.iterable_reads: set[str] = set()
        self.own_elements: dict[str, str] = {}
        """Paths whose elements are each read and written by one iteration only: the path of the
        dict whose keys tell iterations apart, or "" where whole numbers do."""
        self.bound: set[str] = set()
        """Names that the body binds, and the targets."""
        self.outer_reads: set[str] = set()
        """Names bound outside the body that work or commits read."""
        self.builtins_used: set[str] = set()
        self.lists_only: set[str] = set()
        """Paths that must be plain lists, because an append inside a `try` must not raise."""
        self.handler_names: set[str] = set()
        self.asked: tuple[Asked, ...] = ()
        """The objects that were looked at while it was read, and how they looked."""
        self.modules: tuple[int, frozenset[str]] = (0, frozenset())
        """How many modules there were then, and the names of the program's among them."""
        self.straight = True
        """True when every iteration makes the same commits, all at the top of the body."""
        self.leaves_by_commit = False
        """True when a commit may `break`."""
        self.can_leave = False
        self.in_place: list[str] = []
        """The loop's targets that work changes in place, each iteration its own item."""
        self.item_changes: dict[str, str] = {}
        """The parts of the item that work changes, as "$item:star.log", and how."""
        self.stores_into: set[str] = set()
        """Paths that must be plain lists, because commits put items into them before the end."""
        self.item_calls: set[tuple[str, str]] = set()
        """Parts of the item and the methods called on them for what they do."""
        self.item_refusals: list[Reason] = []
        """Why work cannot change the item."""
        self.of_atoms: frozenset[int] | None = None
        """Not None when this holds for items only that nothing can change: which parts of them may be
        whole numbers (-1: all)."""
        self.tried_of_atoms = False
        """True when such items make no difference."""
        self.otherwise: Plan | None = None
        """How the loop runs where work cannot change its items."""
        self.alternative: Plan | None = None
        """How the loop runs, with work that changes its items, where this Plan is found wanting."""
        self.caught = False
        """True when what the loop raises may be caught in the same function."""

    gets_by_name: bool | None = None
    """Whether work gets at attributes by names that are worked out; None: nobody has looked."""

    def why_not(self) -> str:
        """The first reasons, each with its line."""
        return "; ".join(f"line {r.line}: {r.text}" for r in self.reasons[:3])

    def commits_in_handlers(self) -> bool:
        """Whether there are commits that may be done while an exception is handled, or on its way."""
        tries = [n for n in ast.walk(self.node) if isinstance(n, (ast.Try, ast.TryStar))]
        parts = [part for t in tries for part in (*t.handlers, *t.finalbody)]
        return any(n in self.steps for part in parts for n in ast.walk(part))

    def work_nodes(self) -> Iterator[ast.AST]:
        """The nodes of the body that workers run."""
        todo: list[ast.AST] = list(self.node.body)
        while todo:
            node = todo.pop()
            step = self.steps.get(node) if isinstance(node, ast.stmt) else None
            if step is not None:
                todo += step.lifts
                continue
            yield node
            todo += ast.iter_child_nodes(node)
