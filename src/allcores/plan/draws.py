"""Random streams: which of them iterations draw from, and whether each iteration may have its own.

A draw changes the stream, so that it is a change like any other, unless every iteration draws from
a stream of its own (`own_streams`). Then a stream is left to work as long as nothing that must run
in order touches it as well. A stream that every iteration seeds anew before it draws is its own
already, and gives what it gives in the plain loop.
"""

from __future__ import annotations

import ast
import functools
import re
from types import BuiltinMethodType, FunctionType, MethodType, MethodWrapperType
from typing import TYPE_CHECKING, Any, Literal

from allcores.plan import effects as fx
from allcores.plan.effects import ATOM, ITEM, NONE, Roots, Val, in_words, is_outer, outer
from allcores.plan.kinds import is_a
from allcores.plan.names import walk

if TYPE_CHECKING:
    from allcores.plan.followed import Followed
    from allcores.plan.summaries import Summary
    from allcores.plan.values import Info, State

Kind = Literal["stream", "system", "other"]
NUMPY = fx.module_root("numpy.random")
SEEDS = frozenset({"seed", "setstate", "set_state"})
"""Functions and methods after which what was drawn before no longer counts."""
LOOKS = frozenset(
    "getstate get_state get_bit_generator set_bit_generator bit_generator __getstate__".split()
)
_RNG_NAME = re.compile(r"(^|_)(rng|rngs|prng|random|random_state|rs|rand|rnd|generator|seed)\d*$")
"""What people call a generator that they pass on."""
FROM_NUMPY = frozenset(
    """sklearn.utils.resample sklearn.utils.shuffle sklearn.model_selection.train_test_split
    """.split()
)
"""Functions that draw from NumPy's stream unless they are given a `random_state`."""


class Draws:
    """What one reading of a loop or function finds of random streams."""

    def __init__(self, own_streams: bool) -> None:
        self.own_streams = own_streams
        """Whether iterations may have streams of their own."""
        self.unmarked = False
        """Whether this is a loop that does not say `parallel(·)`."""
        self.perhaps: set[str] = set()
        """In a function: what is passed on, and is drawn from if it is a stream."""
        self.reseeded: set[str] = set()
        self.start_pass()

    def start_pass(self) -> None:
        self.sites: list[tuple[ast.AST, str]] = []
        """Where something is drawn from a stream that the iteration has not seeded."""
        self.seeded: list[tuple[ast.AST, str]] = []
        """Where one is seeded, or drawn from after that."""
        self.makers: list[tuple[str, str]] = []
        """Functions made in the body that draw when they are called, by their sites."""
        self.words: dict[str, tuple[int, str]] = {}
        self.at_return: Roots | None = None
        """In a function: what every `return` so far finds seeded."""

    def note(self, root: str, node: ast.AST, what: str) -> None:
        self.words.setdefault(root, (getattr(node, "lineno", 0), what))


# -- objects


def kind_of(obj: Any) -> Kind:
    """Whether an object is a generator that can be seeded, or one that asks the system."""
    kind = type(obj)
    if kind.__module__ == "random":
        return "stream" if kind.__name__ == "Random" else "system" if _is_system(kind) else "other"
    numpys = kind.__module__ is not None and kind.__module__.startswith("numpy.random.")
    bases = {base.__name__ for base in kind.__mro__}
    if numpys and bases & {"Generator", "RandomState", "BitGenerator"}:
        return "stream"
    return "other"


def _is_system(kind: type) -> bool:
    return kind.__name__ == "SystemRandom"


HIDDEN = "~"
"""Begins a part of a path that is no attribute: a variable of the functions around a function, the
object of a method ("~self"), what a partial has bound."""

_BOUND = (MethodType, BuiltinMethodType, MethodWrapperType)


def hidden_part(obj: Any, part: str) -> Any:
    """The object at such a part of a path. LookupError where there is none."""
    name = part.removeprefix(HIDDEN)
    if name == "self" and is_a(obj, _BOUND):
        return obj.__self__
    if type(obj) is functools.partial:
        return obj.args[int(name)] if name.isdigit() else obj.keywords[name]
    function = obj.__func__ if is_a(obj, MethodType) else obj
    if is_a(function, FunctionType):
        cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=False)
        for variable, cell in cells:
            if variable == name:
                try:
                    return cell.cell_contents
                except ValueError:
                    break
    raise LookupError(part)


# -- drawing


def draw(reader: Followed, val: Val, node: ast.AST, receiver: ast.expr | None, what: str) -> bool:
    """Something is drawn from this; True: that must be done in order."""
    reader.effects += 1
    tainted = False
    for root in _streams_among(reader, outer(val.own)):
        tainted |= draw_from(reader, root, node, receiver, what)
    unknown: Roots = NONE
    for root in sorted(outer(val.maybe)):
        if reader.in_function:
            reader.draws.perhaps.add(root)
        elif reader.around.stream(root) == "stream":
            tainted |= draw_from(reader, root, node, receiver, what)
        elif not reader.around.is_atom(root):
            unknown |= {root}
    made = frozenset(r for r in val.own if not is_outer(r))
    return reader.mutate(Val(made, unknown), node, receiver, what) or tainted


def known_streams(reader: Followed, roots: Roots) -> Roots:
    """Those of the roots that are streams; in a function, of which nothing is known, all."""
    if reader.in_function:
        return roots
    return frozenset(r for r in roots if reader.around.stream(r) == "stream")


def _streams_among(reader: Followed, roots: Roots) -> list[str]:
    """Of what a value may be, only the streams, if any are known to be such."""
    if reader.in_function:
        return sorted(roots)
    sure = [r for r in sorted(roots) if reader.around.stream(r) == "stream"]
    return sure or sorted(roots)


def draw_from(
    reader: Followed, root: str, node: ast.AST, receiver: ast.expr | None, what: str
) -> bool:
    """A draw from what a root stands for; True: it must be done in order."""
    draws = reader.draws
    if reader.in_function:
        if root not in reader.st.seeded:
            draws.sites.append((node, root))
            draws.note(root, node, what)
        return False
    kind = reader.around.stream(root)
    if kind == "system":
        return False
    if kind == "other" or root.partition(".")[0] == ITEM:
        return reader.mutate(Val(frozenset({root})), node, receiver, what)
    if root in reader.st.seeded:
        draws.seeded.append((node, root))
        return _in_order(reader, root, node)
    if not draws.own_streams:
        reader.note_change(root, True)
        reader.because(node, _alone(what, root, draws.unmarked))
        return True
    draws.sites.append((node, root))
    draws.note(root, node, what)
    return _in_order(reader, root, node)


UNMARKED = (
    ", or give each a stream of its own, and so other numbers, by `parallel(·)` or "
    "`allcores run --random streams`"
)
"""What else can be done about a loop that says nothing."""


def _alone(what: str, root: str, unmarked: bool) -> str:
    make = "np.random.default_rng" if "numpy" in root else "random.Random"
    return (
        f"{what} draws from a stream that all iterations share; "
        f"make one for each iteration, such as `rng = {make}(seed + i)`{UNMARKED * unmarked}"
    )


def _in_order(reader: Followed, root: str, node: ast.AST) -> bool:
    if not reader.is_changed(root):
        return False
    shown = in_words(root)
    reader.because(
        node,
        f"`{shown}` is drawn from here, and drawn from, looked at or seeded elsewhere in the loop "
        "in a way that depends on the order; make a stream for each iteration",
    )
    return True


def seed(reader: Followed, val: Val, node: ast.AST, receiver: ast.expr | None, what: str) -> bool:
    """A stream is started anew; True: that must be done in order."""
    reader.effects += 1
    tainted = False
    for root in sorted(outer(val.own)):
        kind = reader.around.stream(root)
        if reader.in_function:
            reader.draws.reseeded.add(root)
        elif kind == "system":
            continue
        elif kind == "other" or root.partition(".")[0] == ITEM:
            tainted |= reader.mutate(Val(frozenset({root})), node, receiver, what)
            continue
        else:
            reader.draws.seeded.append((node, root))
            tainted |= _in_order(reader, root, node)
        if len(outer(val.own)) == 1:
            reader.st.seeded |= {root}
    made = frozenset(r for r in val.own if not is_outer(r))
    return reader.mutate(Val(made, val.maybe), node, receiver, what) or tainted


# -- calls


def module_call(
    reader: Followed,
    node: ast.Call,
    dotted: str,
    args: list[ast.expr],
    vals: list[Val],
    tainted: bool,
) -> Info:
    """A function of `random` or `numpy.random`."""
    from allcores.plan.values import Info

    module, _, last = dotted.rpartition(".")
    stream = Val(frozenset({fx.module_root(module)}))
    shown = quoted(node.func)
    if last in SEEDS:
        return Info(ATOM, seed(reader, stream, node, None, shown) or tainted, False)
    if last in LOOKS:
        reader.effects += 1
        [root] = stream.own
        reader.note_change(root, True)
        reader.because(node, f"{shown} tells how much earlier iterations have drawn")
        return Info(reader.fresh(node, *vals), True, False)
    if last == "shuffle" and args:
        tainted |= reader.mutate(vals[0], node, args[0], shown)
    tainted |= draw(reader, stream, node, None, shown)
    return Info(given(reader, node, last, vals, module == "random"), tainted, module != "random")


def given(reader: Followed, node: ast.AST, name: str, vals: list[Val], plain: bool) -> Val:
    """What a draw gives. plain: the standard library's, which gives objects and never copies."""
    if not vals or name not in ("choice", "choices", "sample", "permutation", "permuted"):
        return Val(frozenset({reader.site(node)}))
    if plain and name == "choice":
        return reader.element(vals[0])
    if plain:
        item = reader.element(vals[0])
        return Val(frozenset({reader.site(node)}), NONE, item.own, item.maybe)
    return reader.fresh(node, vals[0], maybe=True)


def rvs(reader: Followed, node: ast.Call, base: Val, receiver: ast.expr) -> bool:
    """`dist.rvs(·)` of SciPy, where it is not told what to draw from."""
    if given_state(node):
        return hand_over(reader, node)
    shown = quoted(node.func)
    tainted = False
    for root in sorted(outer(base.own)):
        for part in (f"{root}._random_state", f"{root}.dist._random_state"):
            if not reader.in_function and reader.around.stream(part) == "stream":
                tainted |= draw_from(reader, part, node, receiver, shown)
    return draw(reader, Val(frozenset({NUMPY})), node, receiver, shown) or tainted


def given_state(node: ast.Call) -> bool:
    """Whether a call is told which stream to draw from."""
    for k in node.keywords:
        if k.arg in ("random_state", "rng", "seed"):
            return not (isinstance(k.value, ast.Constant) and k.value.value is None)
    return False


def library_call(reader: Followed, node: ast.Call, dotted: str) -> bool:
    """A library's function that may draw; True: it must run in order."""
    tainted = hand_over(reader, node)
    asks = dotted in FROM_NUMPY or dotted.startswith("sklearn.datasets.make_")
    if dotted.startswith("scipy.stats.") and dotted.endswith(".rvs"):
        asks = True
    if asks and not given_state(node):
        shown = quoted(node.func)
        tainted |= draw(reader, Val(frozenset({NUMPY})), node, None, shown)
    return tainted


def hand_over(reader: Followed, node: ast.Call) -> bool:
    """Who is given a stream, and cannot be read, draws from it; True: it must run in order."""
    tainted = False
    names: list[tuple[str, ast.expr]] = [("", a) for a in node.args]
    names += [(k.arg or "", k.value) for k in node.keywords]
    shown = quoted(node.func)
    for keyword, arg in names:
        known = reader.info.get(arg)
        for root in sorted(outer(known.val.own)) if known is not None else ():
            if reader.in_function or reader.around.live is None:
                last = root.rpartition(".")[2]
                if not isinstance(arg, (ast.Name, ast.Attribute)):
                    continue
                told = _RNG_NAME.search(keyword) or _RNG_NAME.search(_last_name(arg) or last)
                if told and reader.in_function:
                    reader.draws.perhaps.add(root)
                continue
            if reader.around.stream(root) == "stream":
                reader.effects += 1
                tainted |= draw_from(reader, root, node, arg, shown)
    return tainted


def _last_name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def taken(reader: Followed, node: ast.Attribute, owner: Val) -> bool:
    """`rng.normal` taken without calling it: whoever gets it may; True: must run in order."""
    if node.attr not in fx.DRAWS and node.attr not in SEEDS and node.attr not in LOOKS:
        return False
    tainted = False
    for root in sorted(outer(owner.own)):
        if reader.in_function:
            reader.draws.perhaps.add(root)
        elif reader.around.live is not None and reader.around.stream(root) == "stream":
            if node.attr in fx.DRAWS:
                tainted |= draw_from(reader, root, node, node.value, quoted(node))
            else:
                tainted |= look(reader, owner, node, node)
    return tainted


def look(reader: Followed, val: Val, node: ast.AST, shown: ast.expr) -> bool:
    """How much has been drawn from a stream is looked at; True: that must be done in order."""
    tainted = False
    for root in sorted(outer(val.own)):
        kind = reader.around.stream(root) if not reader.in_function else None
        told = _RNG_NAME.search(root.rpartition(".")[2]) is not None if kind is None else False
        if told or kind == "stream":
            reader.note_change(root, True)
            reader.because(node, f"{quoted(shown)} tells how much earlier iterations have drawn")
            tainted = True
    return tainted


def apply(
    reader: Followed,
    node: ast.AST,
    summary: Summary,
    vals: list[Val],
    exprs: list[ast.expr | None],
    where: str,
) -> bool:
    """Do what a call draws and seeds; True: it must run in order. As `Followed.apply`."""
    tainted = False
    for root in sorted(summary.draws):
        val, at = _seen_here(reader, summary, root, vals, exprs)
        if val is None:
            reader.because(node, f"{where} draws from a default that all calls share")
            reader.effects += 1
            tainted = True
        else:
            tainted |= draw(reader, val, node, at, where)
    for root in sorted(summary.perhaps):
        val, _ = _seen_here(reader, summary, root, vals, exprs)
        for one in sorted(outer(val.own)) if val is not None else ():
            if reader.in_function:
                reader.draws.perhaps.add(one)
            elif reader.around.live is not None and reader.around.stream(one) == "stream":
                reader.effects += 1
                tainted |= draw_from(reader, one, node, None, where)
    for root in sorted(summary.seeds):
        val, at = _seen_here(reader, summary, root, vals, exprs)
        tainted |= val is None or seed(reader, val, node, at, where)
    return tainted


def _seen_here(
    reader: Followed,
    summary: Summary,
    root: str,
    vals: list[Val],
    exprs: list[ast.expr | None],
) -> tuple[Val | None, ast.expr | None]:
    """A root of a called function as the caller's value; None: a default that calls share."""
    head, _, rest = root.partition(".")
    if not head.startswith("$"):
        return Val(frozenset({root})), None
    position = int(head[1:])
    if summary.is_class and position == 0:
        return ATOM, None  # it draws from what the object has been given
    if position >= len(vals):
        return (None if position in summary.shared_defaults else ATOM), None
    val = vals[position]
    at = exprs[position] if position < len(exprs) else None
    return (reader.attribute(val, "." + rest), None) if rest else (val, at)


def made_here(reader: Followed, node: ast.FunctionDef, summary: Summary) -> bool:
    """A function made in the body may be called where it stands; True: it must run in order."""
    where, site = f"`{node.name}` (line {node.lineno})", reader.site(node)
    tainted = False
    for root in sorted(summary.draws | summary.perhaps | summary.seeds):
        head, dot, rest = root.partition(".")
        if head.startswith("$"):
            continue
        val = Val(frozenset({root}))
        if head in reader.body_names:
            val = reader.attribute(reader.st.env.get(head, Val()), dot + rest)
        if root in summary.draws:
            tainted |= draw(reader, val, node, None, where)
            reader.draws.makers += [(site, one) for one in outer(val.own)]
        elif root in summary.perhaps and reader.in_function:
            reader.draws.perhaps |= outer(val.own)
        elif root in summary.seeds or _streams(reader, val):
            tainted |= reader.mutate(val, node, None, head)
    return tainted


def _streams(reader: Followed, val: Val) -> bool:
    around = reader.around
    return around.live is not None and any(around.stream(r) == "stream" for r in outer(val.own))


def quoted(node: ast.expr) -> str:
    return f"`{ast.unparse(node)}`"


# -- a whole body


def settle(reader: Any, ending: State | None) -> None:
    """After a pass through a loop's body: streams that commits touch are no iteration's own."""
    draws: Draws = reader.draws
    drawn = {root for _, root in draws.sites}
    seeded = {root for _, root in draws.seeded}
    shared = drawn & seeded
    shared |= {r for r in seeded if ending is None or r not in ending.seeded}
    roots = drawn | seeded
    if roots:
        in_order = _in_commits(reader)
        shared |= {root for node, root in (*draws.sites, *draws.seeded) if node in in_order}
        for node in in_order:
            known = reader.info.get(node)
            if known is None or not isinstance(node, (ast.Name, ast.Attribute)):
                continue
            own = known.val.own
            shared |= {r for r in roots for o in own if o == r or o.startswith(r + ".")}
        sent = [n for lifts in reader.steps.values() for n in lifts if isinstance(n, ast.Name)]
        for node in (*in_order, *sent):
            known = reader.info.get(node)
            own = known.val.own if known is not None else NONE
            shared |= {root for site, root in draws.makers if site in own}
    for root in shared:
        reader.note_change(root, True)


def _in_commits(reader: Any) -> set[ast.AST]:
    """All that is evaluated in the user's process."""
    found: set[ast.AST] = set()
    for stmt, lifts in reader.steps.items():
        found |= set(walk(stmt)) - {n for lift in lifts for n in walk(lift)}
    return found


def own_streams(reader: Any) -> dict[str, tuple[int, str]]:
    """The streams that iterations draw from and may have of their own: where, and in what words."""
    drawn = {root for _, root in reader.draws.sites}
    return {r: reader.draws.words[r] for r in sorted(drawn) if not reader.is_changed(r)}


def seeded_streams(reader: Any) -> set[str]:
    """The streams that every iteration seeds before it draws."""
    return {r for _, r in reader.draws.seeded if not reader.is_changed(r)}


def summarise(reader: Any, summary: Summary, short: dict[str, str]) -> None:
    """What a function that has been read draws and seeds. short: what stands for long paths."""
    draws: Draws = reader.draws
    ends = [draws.at_return, None if reader.dead else reader.st.seeded]
    seeded = [end for end in ends if end is not None]
    drawn = {root for _, root in draws.sites}
    sure = draws.reseeded.intersection(*seeded) if seeded else set()
    # Seeded in some calls only, or after a draw: what it gives depends on more than the call.
    entwined = (draws.reseeded - sure) | (draws.reseeded & drawn)
    summary.changes |= {short.get(r, r) for r in entwined}
    summary.draws = {short.get(r, r) for r in drawn - entwined}
    summary.seeds = {short.get(r, r) for r in sure - entwined}
    summary.perhaps = {short.get(r, r) for r in draws.perhaps - drawn}


def learnt(reader: Any) -> tuple[object, ...]:
    """What one pass through a function leaves for the next."""
    draws: Draws = reader.draws
    return {r for _, r in draws.sites}, set(draws.perhaps), set(draws.reseeded)
