"""A job made anew in a clean interpreter, so that it is the same there or is not shipped at all.

Here: all that work reaches is pickled as it is now (`sender`), with what is set for the process
(`conditions`) and digests of what goes by name (`alike`). There (`arrive`): the process is set
alike, the values are made, and the digests are compared.
"""

from __future__ import annotations

import importlib
import io
import linecache
import os
import pickle
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import CodeType
from typing import TYPE_CHECKING, Any, NamedTuple

from allcores.build import arrival
from allcores.build.alike import (
    Alike,
    Known,
    Roots,
    Variable,
    compare,
    imports_of,
    known,
    submodules_of,
)
from allcores.build.conditions import (
    Early,
    apply_early,
    apply_late,
    context,
    depth_of,
    early,
    late,
    set_limit,
)
from allcores.build.made_of import BY_COMPUTED_NAME
from allcores.build.order import seen_at
from allcores.build.outside import hooks
from allcores.build.set_in_libraries import Set, set_in_libraries
from allcores.build.travel import has_hash_of_this_run, keeps_order
from allcores.engine import errors, wire
from allcores.engine.functions import global_names
from allcores.engine.interpreters import same_hashes
from allcores.engine.shipment import CannotShip, Shipment, along
from allcores.plan.ownership import is_own_module

if TYPE_CHECKING:
    from allcores.build.items_sent import Sent
    from allcores.build.sender import Sender
    from allcores.map_job import FunctionJob


class About(NamedTuple):
    """What is to be the same in the worker beside the values."""

    conditions: dict[str, Any]
    context: list[tuple[Any, Any]]
    imports: list[str]
    sources: dict[str, Any]
    sent: list[Variable]
    named: list[Any]
    variables: list[Variable]
    """Variables of modules that go by name, to which the work holds on itself."""
    libraries: list[Set]
    """Variables of libraries that the program sets."""
    digests: dict[str, Known]
    """By the names of parts."""


def found_at(module: str, path: str) -> tuple[Any] | None:
    """What stands in a module or a class of it."""
    found: Any = sys.modules.get(module)
    for part in path.split("."):
        variables = getattr(found, "__dict__", {})
        if part not in variables:
            return None
        found = variables[part]
    return (found,)


class Parcel:
    """All that goes to the worker, in the making."""

    def __init__(self, kind: type[Sender], roots: Callable[[], list[tuple[str, Any]]]) -> None:
        """kind: the type of what pickles. roots: gives names and values from which all that is sent
        is reached, for messages."""
        self.roots = roots
        self.stream = io.BytesIO()
        self.buffers: list[pickle.PickleBuffer] = []
        self.sender = kind(self.stream, wire.apart(self.buffers), along)

    def dump(self, value: Any) -> None:
        """Pickle a value. Raises CannotShip that names what cannot be sent."""
        sender = self.sender
        try:
            sender.dump(value)
        except CannotShip:
            raise
        except RecursionError:
            raise CannotShip("what it reads is nested too deep to be sent") from None
        except Exception as error:
            text = " ".join(str(error).split())
            raise CannotShip(
                f"{self.in_words(sender.last)} cannot be sent to a clean interpreter: {text}"
            ) from None

    def in_words(self, obj: Any) -> str:
        """An object by its path."""
        from allcores.build.paths import path_to

        path = path_to(self.all_roots(), obj)
        return f"`{path}`" if path else f"an object of type {type(obj).__name__}"

    def all_roots(self) -> list[tuple[str, Any]]:
        """Names and values from which all that is sent is reached."""
        sender = self.sender
        code: list[Any] = [*sender.functions, *sender.classes]
        return [*self.roots(), *((each.__name__, each) for each in code)]

    def send(self, root: Any) -> None:
        """Pickle all that the work is made of."""
        sender = self.sender
        self.dump(root)
        held = [(each, value) for each in along if (value := found_at(*each)) is not None]
        self.sent_along = [each for each, _ in held]
        self.dump([(sender.named_space(sys.modules[m]), path, value) for (m, path), value in held])
        self.imports, others = imports_of(code for code, _ in sender.codes.values())
        self.dump(others)
        while names := list(self.names_in_modules()):
            self.dump(names)
        self.dump(None)

    def names_in_modules(self) -> Iterator[Any]:
        """Variables that may be looked up in modules that go by value."""
        sender = self.sender
        codes = [code for code, _ in sender.codes.values()]
        anything = any(global_names(code) & BY_COMPUTED_NAME for code in codes)
        for module, space in list(sender.looked_into.values()):
            names = [n for n in vars(module) if not n.startswith("__")]
            if not anything:
                names = [n for n in names if n in sender.mentioned]
            yield from sender.variables(space, names)

    def check(self, sent: Sent) -> None:
        """Pickle what tells whether it is the same there. Raises CannotShip."""
        from allcores.build.sender import registered_abstractly, source_lines

        sender = self.sender
        codes = list(sender.codes.values())
        spaces = [space.variables for space in sender.spaces.values()]
        roots = Roots(list(sender.refs.values()), codes)
        here = Alike(spaces, self.sent_along)
        libraries = list(set_in_libraries())
        here.look(roots, sender.of_others, libraries)
        self.check_absent(here)
        self.check_sets(here.own_codes)
        self.dump(registered_abstractly(sender))
        submodules = submodules_of([*here.modules, *here.libraries], here.mentioned)
        tops = {name.partition(".")[0] for name in here.libraries}
        also = {each.module for each in libraries if each.module.partition(".")[0] in tops}
        about = About(
            dict(late()),
            list(context().items()),
            [*self.imports, *sorted(here.imported), *submodules, *sorted(also)],
            source_lines(code for code, _ in codes),
            self.sent_along,
            roots.named,
            list(sender.of_others),
            libraries,
            known(here.found),
        )
        self.dump(tuple(about))
        home = [(number, id(obj)) for number, obj in sent.local.items()]
        self.dump((list(sent.numbers.values()), home))

    def check_sets(self, codes: list[CodeType]) -> None:
        """Sets must be in the order that they have here, or nothing may see it."""
        found = []
        for _, obj in self.sender.memo.copy().values():
            if type(obj) in (set, frozenset) and len(obj) > 1:
                if any(map(has_hash_of_this_run, obj)) or not keeps_order(obj):
                    found.append(obj)
        names, nameless = set[str](), None
        if found:
            from allcores.build.paths import names_of

            names, nameless = names_of(self.all_roots(), found)
        if nameless is not None:
            raise CannotShip(
                f"{self.in_words(nameless)} is a set, and in another order in a clean interpreter; "
                "use a list, or a dict"
            )
        other_hashes = not same_hashes()
        if names or other_hashes:
            idle = self.sender.may_run()[1] if self.sender.classes else set()
            for code in codes:
                if id(code) in idle:
                    continue
                line = seen_at(code, frozenset(names), other_hashes)
                if line is not None:
                    file = os.path.basename(code.co_filename)
                    raise CannotShip(
                        f"what is done with a set at {file}:{line} may depend on its order, which is "
                        "another one in a clean interpreter; sort it, or start with PYTHONHASHSEED=0"
                    )

    def check_absent(self, here: Alike) -> None:
        """What was left out must be nothing that work could come by."""
        if not self.sender.absent:
            return
        mentioned = here.mentioned_by_name | self.sender.may_run()[0]
        held = self.sender.attributes()
        for obj, words in self.sender.absent:
            names = held.get(id(obj))
            if not names or names & mentioned:
                raise CannotShip(
                    f"{self.in_words(obj)} is {words}, which cannot be sent to a clean interpreter"
                )


def shipment(
    maker: str,
    root: Callable[[Sender], Any],
    roots: Callable[[], list[tuple[str, Any]]],
    depth: int,
) -> tuple[Shipment, Sent]:
    """What a clean interpreter makes the job of, and what it has then. Raises CannotShip.

    root: gives what is sent, all in one. depth: how deep the calls are nested where work stands.
    """
    from allcores.build.items_sent import Sent
    from allcores.build.sender import NanSender, Sender, may_hold_nan

    for name, hook in hooks():
        if is_own_module(getattr(hook, "__module__", None) or type(hook).__module__):
            raise CannotShip(
                f"`{name}` calls a function of the program's, which a clean interpreter has not"
            )
    try:
        for kind in (Sender, NanSender):
            parcel = Parcel(kind, roots)
            pickle.dump(tuple(early(depth)), parcel.stream, 5)
            parcel.send(root(parcel.sender))
            if kind is Sender and may_hold_nan(parcel.stream.getvalue()):
                continue  # what the checks say would be the same of the next one
            sent = Sent(parcel.sender)
            parcel.check(sent)
            if kind is NanSender or not may_hold_nan(parcel.stream.getvalue()):
                break
    except CannotShip:
        raise
    except Exception as error:
        if os.environ.get("ALLCORES_DEBUG"):
            raise
        raise CannotShip(f"sending it failed, which is a bug of allcores: {error!r}") from error
    return Shipment(maker, parcel.stream.getvalue(), parcel.buffers), sent


# -- in the worker


def arrive(body: Any, buffers: list[Any], make: Callable[[Any], Any]) -> Any:
    """The job that is made of what was sent, in a process that has been made the same.

    Raises CannotShip.
    """
    here = arrival.here
    here.forget()
    stream = io.BytesIO(body)
    wanted = Early(*pickle.load(stream))
    with silence():
        why = apply_early(wanted)
        if why is not None:
            raise CannotShip(why)
        unpickler = arrival.Reader(stream, buffers=buffers)
        try:
            root, along = unpickler.load(), unpickler.load()
            arrival.bind(along)
            for name, module in unpickler.load():
                arrival.call(name, module)
            while (variables := unpickler.load()) is not None:
                arrival.bind(variables)
            for base, cls in unpickler.load():
                base.register(cls)
            memo = unpickler.memo.copy()
            about = About(*unpickler.load())
            numbers, local = unpickler.load()
            here.numbered = {number: memo[number] for number in numbers}
            here.local = {id(memo[number]): number for number, _ in local}
            errors.addresses = {id(memo[number]): address for number, address in local}
            del memo, unpickler
            for name in about.imports:
                importlib.import_module(name)
            job = make(root)
        except CannotShip:
            raise
        except Exception as error:
            text = " ".join(f"{type(error).__name__}: {error}".split())
            raise CannotShip(f"a clean interpreter cannot make the same of it: {text}") from error
        why = apply_late(about.conditions)
    if why is not None:
        raise CannotShip(why)
    for variable, value in about.context:
        variable.set(value)
    linecache.cache.update(about.sources)
    now = Alike([*here.spaces], about.sent)
    now.look(Roots(about.named, here.codes), about.variables, about.libraries)
    compare(about.digests, now)
    set_limit(wanted)
    return job


@contextmanager
def silence() -> Iterator[None]:
    """Modules that are imported have said what they say when the program imported them."""
    quiet: list[Any] = [s for s in (sys.stdout, sys.stderr) if s is not None]
    olds = [vars(s).get("write") if hasattr(s, "__dict__") else None for s in quiet]
    for stream in quiet:
        with suppress(AttributeError):
            stream.write = len
    try:
        yield
    finally:
        for stream, old in zip(quiet, olds, strict=True):
            with suppress(AttributeError):
                if old is None:
                    del stream.write
                else:
                    stream.write = old


def meet(job: Any, decode_items: Callable[..., Any] | None = None) -> None:
    """Have a job know what came with it, among items and in results.

    decode_items: in place of what reads items that work leaves alone.
    """
    from allcores.build.items_sent import decode, encode_results

    leave = job.leave_worker

    def leave_worker() -> None:
        leave()
        arrival.here.forget()

    job.leave_worker = leave_worker
    job.decode_items = decode_items or decode
    if decode_items is None and arrival.here.local:
        job.encode = encode_results


# -- a function that is mapped


def ship_function(job: FunctionJob) -> tuple[Shipment, Sent]:
    """The job of a `map` for a clean interpreter. Raises CannotShip."""
    how = job.star, job.streams, job.seeded, job.on_error, job.tells_streams, job.exact
    parts = job.fn, *how, job.also
    name = getattr(job.fn, "__name__", "the function")
    depth = depth_of(sys._getframe())
    return shipment(
        f"{__name__}:make_function_job", lambda _: parts, lambda: [(name, job.fn)], depth
    )


def make_function_job(body: Any, buffers: list[Any]) -> FunctionJob:
    """In the worker: the job again. Raises CannotShip."""
    job: FunctionJob = arrive(body, buffers, _function_job)
    return job


def _function_job(parts: tuple[Any, ...]) -> FunctionJob:
    from allcores.map_job import FunctionJob

    fn, star, streams, seeded, on_error, tells_streams, exact, _also = parts
    job = FunctionJob(fn, star, streams, seeded, on_error)
    meet(job)
    job.tells_streams, job.exact = tells_streams, exact
    return job
