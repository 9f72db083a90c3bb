"""Whether the iterations of a loop, or the calls of a function, can be threads of one process."""

from __future__ import annotations

import ast
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import TYPE_CHECKING, Any

from allcores.build.reached import Reached, cell_is_bound, globals_of
from allcores.build.threaded import SharedLoopJob, read_as_globals
from allcores.build.travel import ATOMS
from allcores.entry.plans import locals_of
from allcores.plan.callables import attributes_of
from allcores.plan.kinds import is_a
from allcores.plan.ownership import is_own_module
from allcores.settings import Settings

if TYPE_CHECKING:
    from allcores.build.runtime import Functions
    from allcores.entry.commits import Commits
    from allcores.plan.model import Plan

PROCESS_WIDE = frozenset(
    """catch_warnings redirect_stdout redirect_stderr chdir fchdir umask setlocale setrecursionlimit
    setswitchinterval settrace setprofile signal pthread_sigmask sigwait alarm setitimer fork forkpty
    multiprocessing ProcessPoolExecutor current_thread get_ident get_native_id main_thread local
    active_count setdefaulttimeout setrlimit nice sched_setaffinity tracemalloc monkeypatch mock
    putenv unsetenv getrusage thread_time process_time _getframe
    current_frames excepthook displayhook breakpoint pdb faulthandler printoptions
    set_printoptions option_context set_option""".split()
)
"""What work mentions that is the same for all threads of a process, or tells threads apart."""
SEVERAL_LOCKS = "threads that take several locks may wait for each other for ever"
NAMES_FILES = frozenset(("getpid",))
"""What programs make names of files of, each of which is then one worker's."""
WRITES_FILES = frozenset(
    """open write_text write_bytes touch mkdir makedirs mkdtemp copy copyfile rename replace unlink
    remove savetxt savez save to_csv to_pickle to_parquet""".split()
)
FOUND_LATE = frozenset(
    """methodcaller attrgetter getattr setattr delattr vars globals locals eval exec modules
    import_module __import__ __dict__ __getattribute__ __getattr__""".split()
)
"""What gets at functions and objects by names that are worked out: it is not known what they are."""
MOST_HELD = 10_000
"""So many objects are looked at for functions that they hold."""
UNSAFE = frozenset(
    """tkinter turtle curses readline locale signal multiprocessing cProfile profile trace sqlite3
    dbm shelve idlelib ctypes""".split()
)
"""Parts of the standard library that are not for several threads, or cannot be read."""
SAFE = frozenset(
    """numpy requests urllib3 httpx httpcore h11 certifi idna charset_normalizer""".split()
)
"""Other libraries that say of themselves that several threads may use them."""


def shared_job(entry: Commits) -> SharedLoopJob | None:
    """The loop's work as threads of one process do it, or None where they cannot."""
    if entry.site.not_in_threads:
        return None
    plan, settings = entry.plan, entry.settings
    names = {} if plan.module_level else locals_of(entry.frame)
    namespace = entry.frame.f_globals
    why = why_not_for(settings)
    if entry.place is not None:
        why = "iterations change their items"
    if entry.streams is not None or plan.draws or plan.seeded:
        why = "iterations draw random numbers"
    if why is None:
        own = {*plan.temporaries, *plan.varying, *plan.deleted} - plan.parent_names
        own = own if plan.module_level else own & plan.declared_global
        if plan.declared_global and own:
            why = "the body declares names to be global"
        else:
            why = read_as_globals(own, namespace)
    if len(plan.locks) > 1:
        why = SEVERAL_LOCKS
    if why is None:
        reached = Reached(plan, names, namespace, [])
        why = why_not_these(found_by(reached, plan, names, namespace), settings)
    if why is not None:
        return None
    return SharedLoopJob(entry.job, functions_of(entry))


def functions_of(entry: Commits) -> Callable[[], Functions]:
    """Makes the loop's functions, with variables of their own each time."""
    code = entry.code_for(entry.job.traced, own_cells=True)
    namespace, values, helpers = entry.frame.f_globals, entry.fixed_values(), entry.helpers()
    return lambda: code.bind(namespace, values, helpers)


def why_not_for(settings: Settings) -> str | None:
    """What was asked for that only processes can do, in words."""
    if settings.limits.memory is not None:
        return "the limit of memory is a process's"
    if settings.limits.timeout is not None and settings.on != "threads":
        return "what takes too long is ended with its process, and with it what other threads do"
    if settings.limits.retries == 0:
        return "where one thread dies all do, and what they did has to be done again"
    return None


class Found:
    """What work may come by, as far as it is the program's own code: words and objects."""

    def __init__(self, words: Iterable[str], values: Iterable[Any]) -> None:
        self.words, self.values = set(words), list(values)


def found_by(
    reached: Reached, plan: Plan, names: dict[str, Any], namespace: dict[str, Any]
) -> Found:
    """What the body of a loop mentions, and the functions that it may call."""
    words = set(reached.names)
    for node in plan.work_nodes():
        if isinstance(node, ast.Name):
            words.add(node.id)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            words |= {part for alias in node.names for part in alias.name.split(".")}
            words.add((getattr(node, "module", None) or "").partition(".")[0])
    read = [names.get(name, namespace.get(name)) for name in plan.outer_reads]
    return Found(words, [*read, *seen_by(reached)])


def seen_by(reached: Reached) -> Iterator[Any]:
    """The objects that functions see besides what they are given."""
    yield from (value for _, value in reached.sees())
    for function in reached.functions.values():
        yield from globals_of(function).values()
        cells = filter(cell_is_bound, function.__closure__ or ())
        yield from (cell.cell_contents for cell in cells)


def why_not_these(found: Found, settings: Settings) -> str | None:
    """What of this is not for several threads, in words."""
    words = found.words | {
        value.__name__
        for value in found.values
        if is_a(value, (FunctionType, BuiltinFunctionType, type))
    }
    common = sorted(words & PROCESS_WIDE)
    if common:
        return f"`{common[0]}` is for a process as a whole"
    if any(map(holds_a_lock, found.values)):
        return "this thread holds a lock that iterations take as well"
    if any(is_a(value, threading.local) for value in found.values):
        return "what it reads is another one in each thread"
    late = sorted(words & FOUND_LATE)
    if late:
        return f"what `{late[0]}` gets at cannot be told by reading"
    if holds_functions(found.values):
        return "what it reads holds functions, and it cannot be told which of them are called"
    if settings.on == "threads" and not words & WRITES_FILES:
        return None
    if words & NAMES_FILES:
        return "threads have the process's id in common"
    if settings.on == "threads":
        return None
    for name in {*modules_of(found.values), *(words & others())}:
        if not may_be_in_threads(name):
            return f"`{name}` is not known to be for several threads"
    return None


def holds_a_lock(value: Any) -> bool:
    """Whether this is, or has, a lock that this thread holds and may take again; others may not."""
    parts = [value]
    # Asking others for their attributes may give them an empty dict of these, which shows.
    if is_own_module(type(value).__module__):
        try:
            parts += object.__getattribute__(value, "__dict__").values()
        except AttributeError:
            pass
    return any(map(is_held, parts))


def holds_functions(values: Iterable[Any]) -> bool:
    """Whether the program's functions are held where reading does not follow calls of them: in
    containers and attributes, and behind memos, of which what they give is shared as well.

    Two threads may see each other's changes by these even where each puts them back.
    """
    todo = [(value, False) for value in values]
    seen = set[int]()
    for value, inside in todo:
        if type(value).__name__ == "_lru_cache_wrapper" or (inside and _is_function(value)):
            return True
        if id(value) in seen:
            continue
        seen.add(id(value))
        todo += [(part, True) for part in _parts(value) if type(part) not in ATOMS]
        if len(todo) > MOST_HELD:
            return True
    return False


def _is_function(value: Any) -> bool:
    """Whether this is a function of the program, or may call one."""
    if type(value) is FunctionType:
        return is_own_module(value.__module__)
    return type(value) in (MethodType, partial)


def _parts(value: Any) -> Iterable[Any]:
    """What a container, or an object of the program's own classes, holds."""
    if is_a(value, (list, tuple, set, frozenset, deque)):
        return list(value)
    if is_a(value, dict):
        return list(value.values())
    if is_own_module(type(value).__module__) and not is_a(value, type):
        return list(attributes_of(value).values())
    return ()


def is_held(lock: Any) -> bool:
    for name in ("_cond", "_lock"):  # of a semaphore, and of a condition
        if type(lock).__module__ == "threading":
            lock = getattr(lock, name, lock)
    return type(lock).__name__ in ("RLock", "_RLock") and bool(lock._is_owned())


def modules_of(values: Iterable[Any]) -> Iterator[str]:
    """The modules that these are, or are made by."""
    for value in values:
        if is_a(value, ModuleType):
            yield value.__name__
        elif is_a(value, (FunctionType, BuiltinFunctionType, type)):
            yield str(value.__module__ or "builtins")
        else:
            yield type(value).__module__


def others() -> set[str]:
    """The libraries there are that are not known to be for several threads."""
    return {n for n in list(sys.modules) if "." not in n and not may_be_in_threads(n)}


def may_be_in_threads(module: str) -> bool:
    """Whether several threads may use this at a time: libraries that say so, and what can be read."""
    top = module.partition(".")[0]
    if top in sys.stdlib_module_names or top in SAFE:
        return top not in UNSAFE
    return is_own_module(module)
