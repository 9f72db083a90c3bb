"""What is set for the whole process, made the same in another one."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from allcores.build.digest import is_own
from allcores.build.settings import LIBRARIES


class Early(NamedTuple):
    """What importing modules may depend on; nothing but texts and numbers."""

    environment: dict[Any, Any]
    path: list[str]
    directory: str
    argv: list[str]
    limit: int
    """How deep calls may be nested there."""


def early(depth: int) -> Early:
    """As it is now. depth: how deep the calls are nested in which the work stands here."""
    environment = dict(getattr(os.environ, "_data", {}))
    limit = max(sys.getrecursionlimit() - depth, 60)
    return Early(environment, list(sys.path), _directory(), list(sys.argv), limit)


def _directory() -> str:
    """The current directory, if it is still there."""
    try:
        return os.getcwd()
    except OSError:
        return ""


def apply_early(wanted: Early) -> str | None:
    """Have this process the same; gives why it cannot be, in words."""
    held = getattr(os.environ, "_data", None)
    if held is not None and held != wanted.environment:
        decode = os.environ.decodekey
        for key in [k for k in held if k not in wanted.environment]:
            del os.environ[decode(key)]
        for key, value in wanted.environment.items():
            if held.get(key) != value:
                os.environ[decode(key)] = os.environ.decodevalue(value)
        import time

        time.tzset()
    if sys.path != wanted.path:
        sys.path[:] = wanted.path
    sys.argv[:] = wanted.argv
    if not wanted.directory:
        return "the current directory is gone"
    if _directory() != wanted.directory:
        try:
            os.chdir(wanted.directory)
        except OSError as error:
            return f"the current directory cannot be entered: {error.strerror}"
    from allcores.plan.ownership import is_own_module

    is_own_module.cache_clear()
    return None


def depth_of(frame: Any) -> int:
    """How deep the calls are nested that led to a frame."""
    depth = 0
    while frame is not None:
        depth, frame = depth + 1, frame.f_back
    return depth


def set_limit(wanted: Early) -> None:
    """Let calls be nested no deeper than where the work stands."""
    here = depth_of(sys._getframe())
    sys.setrecursionlimit(max(wanted.limit + here, here + 60))


class Condition(NamedTuple):
    """One setting: what asks for it, and what sets it."""

    module: str
    get: Callable[[Any], Any]
    put: Callable[[Any, Any], None]


def _put_numpy(np: Any, wanted: Any) -> None:
    errors, call, shown = wanted
    if np.geterr() != errors:
        np.seterr(**errors)
    np.seterrcall(call)
    if np.get_printoptions() != shown:
        known = {n: v for n, v in shown.items() if n != "override_repr"}
        np.set_printoptions(**known)


def _put_locale(locale: Any, wanted: Any) -> None:
    if locale.setlocale(locale.LC_ALL) != wanted:
        locale.setlocale(locale.LC_ALL, wanted)


def _decimal(decimal: Any) -> Any:
    context = decimal.getcontext()
    flags = [s.__name__ for s, raised in context.flags.items() if raised]
    traps = [s.__name__ for s, trapped in context.traps.items() if trapped]
    numbers = {n: getattr(context, n) for n in ("prec", "rounding", "Emin", "Emax", "capitals")}
    return {**numbers, "clamp": context.clamp}, traps, flags


def _put_decimal(decimal: Any, wanted: Any) -> None:
    numbers, traps, flags = wanted
    traps, flags = ([getattr(decimal, name) for name in names] for names in (traps, flags))
    decimal.setcontext(decimal.Context(**numbers, traps=traps, flags=flags))


def _put_filters(warnings: Any, wanted: Any) -> None:
    if warnings.filters != wanted:
        warnings.filters[:] = wanted
        getattr(
            warnings, "_filters_mutated", getattr(warnings, "_filters_mutated_lock_held", bool)
        )()


def _levels(logging: Any) -> Any:
    """The levels of loggers, which decide what is recorded; filters and handlers run elsewhere."""
    names = dict(logging.root.manager.loggerDict)
    found = {n: (x.level, x.disabled) for n, x in names.items() if hasattr(x, "disabled")}
    told = {n: pair for n, pair in found.items() if pair != (0, False)}
    called = dict(logging._levelToName), dict(logging._nameToLevel)
    plain = (
        logging.getLogRecordFactory() is logging.LogRecord
        and logging.getLoggerClass() is logging.Logger
    )
    rest = plain, logging._startTime
    return told, logging.root.level, logging.root.manager.disable, called, rest


def _put_levels(logging: Any, wanted: Any) -> None:
    told, root, disable, names, (plain, logging._startTime) = wanted
    if not plain:
        raise ValueError("loggers or their records are made in the program's own way")
    for known, name in zip((logging._levelToName, logging._nameToLevel), names, strict=True):
        if known != name:
            known.clear()
            known.update(name)
    for name, logger in list(logging.root.manager.loggerDict.items()):
        if (
            hasattr(logger, "disabled")
            and name not in told
            and (logger.level, logger.disabled) != (0, False)
        ):
            logger.setLevel(0)
            logger.disabled = False
    for name, (level, disabled) in told.items():
        logger = logging.getLogger(name)
        if logger.level != level:
            logger.setLevel(level)
        logger.disabled = disabled
    if logging.root.level != root:
        logging.root.setLevel(root)
    if logging.root.manager.disable != disable:
        logging.disable(disable)


def _dialects(csv: Any) -> Any:
    names = (
        "delimiter doublequote escapechar lineterminator quotechar quoting skipinitialspace strict"
    ).split()
    found = {}
    for name in csv.list_dialects():
        dialect = csv.get_dialect(name)
        found[name] = {n: getattr(dialect, n) for n in names}
    return found, csv.field_size_limit()


def _put_dialects(csv: Any, wanted: Any) -> None:
    if _dialects(csv) == wanted:
        return
    for name in csv.list_dialects():
        csv.unregister_dialect(name)
    for name, fields in wanted[0].items():
        csv.register_dialect(name, **fields)
    csv.field_size_limit(wanted[1])


def _frames(config: Any) -> Any:
    """The options of pandas that are not as they were."""
    registered = config._registered_options
    found = {}
    for key, option in registered.items():
        root, name = config._get_root(key)
        if root[name] != option.defval:
            found[key] = root[name]
    return found


def _put_frames(config: Any, wanted: Any) -> None:
    import warnings

    now = _frames(config)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # setting one that is deprecated warns, as it did here
        for key in now.keys() - wanted.keys():
            config.reset_option(key)
        for key, value in wanted.items():
            if key not in now or now[key] != value:
                config.set_option(key, value)


def _put_plots(matplotlib: Any, wanted: Any) -> None:
    if dict.items(matplotlib.rcParams) != wanted.items():
        dict.update(matplotlib.rcParams, wanted)


def _put_collection(gc: Any, wanted: Any) -> None:
    gc.set_threshold(*wanted[0])
    (gc.enable if wanted[1] else gc.disable)()


def _reducers(copyreg: Any) -> Any:
    """What pickles objects of the program's, or does so by functions of the program's."""
    table = list(copyreg.dispatch_table.items())
    # A type made in C may say that it is of a module that there is not, as SciPy's `uarray` do.
    return {
        cls: reduce
        for cls, reduce in table
        if is_own(reduce) or (is_own(cls) and cls.__module__ in sys.modules)
    }


def _put_reducers(copyreg: Any, wanted: Any) -> None:
    for cls in _reducers(copyreg).keys() - wanted.keys():
        del copyreg.dispatch_table[cls]
    copyreg.dispatch_table.update(wanted)


def _put_zone(time: Any, wanted: Any) -> None:
    if (time.tzname, time.timezone) != wanted:
        raise ValueError("the environment names another one")


def _streams(sys: Any) -> Any:
    return [_about_stream(getattr(sys, name)) for name in ("stdout", "stderr")]


def _about_stream(stream: Any) -> Any:
    try:
        terminal = bool(stream.isatty())
    except Exception:
        terminal = False
    texts = (getattr(stream, name, None) for name in ("encoding", "errors"))
    return terminal, *(text if isinstance(text, str) else None for text in texts)


def _put_streams(sys: Any, wanted: Any) -> None:
    """Standard streams that say of themselves what those of the program do."""
    for name, (terminal, encoding, errors) in zip(("stdout", "stderr"), wanted, strict=True):
        stream = getattr(sys, name)
        if hasattr(stream, "reconfigure"):
            stream.isatty = lambda terminal=terminal: terminal
            if (stream.encoding, stream.errors) != (encoding, errors) and encoding:
                stream.reconfigure(encoding=encoding, errors=errors)


def _learning(config: Any) -> Any:
    """The configuration of scikit-learn in this thread, if it is not the one that it begins with."""
    found = config.get_config()
    return None if found == config._global_config else found


def _put_learning(config: Any, wanted: Any) -> None:
    config._get_threadlocal_config().update(wanted or config._global_config)


def _special(special: Any) -> Any:
    """What SciPy's special functions do about errors, if it is not what they begin with."""
    found = special.geterr()
    return None if set(found.values()) == {"ignore"} else found


def _put_special(special: Any, wanted: Any) -> None:
    special.seterr(**(wanted or {"all": "ignore"}))


def _put_dict(held: dict[Any, Any], wanted: dict[Any, Any]) -> None:
    if held != wanted:
        held.clear()
        held.update(wanted)


_OF_FILES = ("types_map", "types_map_inv", "suffix_map", "encodings_map")


def _files(mimetypes: Any) -> Any:
    db = mimetypes._db
    return None if db is None else [getattr(db, name) for name in _OF_FILES]


def _put_files(mimetypes: Any, wanted: Any) -> None:
    if wanted is None:
        return
    if mimetypes._db is None:
        mimetypes.init()
    for name, value in zip(_OF_FILES, wanted, strict=True):
        held = getattr(mimetypes._db, name)
        pairs = zip(held, value, strict=True) if isinstance(held, tuple) else [(held, value)]
        for mine, theirs in pairs:
            _put_dict(mine, theirs)


CONDITIONS = {
    "the time zone": Condition("time", lambda m: (m.tzname, m.timezone), _put_zone),
    "the standard streams": Condition("sys", _streams, _put_streams),
    "the locale": Condition("locale", lambda m: m.setlocale(m.LC_ALL), _put_locale),
    "the context of `decimal`": Condition("decimal", _decimal, _put_decimal),
    "NumPy's settings (`np.geterr()`, `np.get_printoptions()`)": Condition(
        "numpy", lambda m: (m.geterr(), m.geterrcall(), m.get_printoptions()), _put_numpy
    ),
    "the list of filters of `warnings`": Condition(
        "warnings", lambda m: list(m.filters), _put_filters
    ),
    "the default timeout of sockets": Condition(
        "socket", lambda m: m.getdefaulttimeout(), lambda m, v: m.setdefaulttimeout(v)
    ),
    "the table of dialects of `csv`": Condition("csv", _dialects, _put_dialects),
    "the settings of garbage collection": Condition(
        "gc", lambda m: (m.get_threshold(), m.isenabled()), _put_collection
    ),
    "the switch interval (`sys.getswitchinterval()`)": Condition(
        "sys", lambda m: m.getswitchinterval(), lambda m, v: m.setswitchinterval(v)
    ),
    "the longest text of an integer (`sys.get_int_max_str_digits()`)": Condition(
        "sys", lambda m: m.get_int_max_str_digits(), lambda m, v: m.set_int_max_str_digits(v)
    ),
    "the table of what pickles objects (`copyreg.pickle`)": Condition(
        "copyreg", _reducers, _put_reducers
    ),
    "the levels of `logging`": Condition("logging", _levels, _put_levels),
    "the first day of weeks of `calendar`": Condition(
        "calendar", lambda m: m.firstweekday(), lambda m, v: m.setfirstweekday(v)
    ),
    "the types that `mimetypes` knows": Condition("mimetypes", _files, _put_files),
    "the prefixes that `xml.etree` knows": Condition(
        "xml.etree.ElementTree",
        lambda m: dict(m._namespace_map),
        lambda m, v: _put_dict(m._namespace_map, v),
    ),
    "the configuration of scikit-learn": Condition("sklearn._config", _learning, _put_learning),
    "the error handling of `scipy.special`": Condition("scipy.special", _special, _put_special),
    "the options of pandas": Condition("pandas._config.config", _frames, _put_frames),
    "`matplotlib.rcParams`": Condition(
        "matplotlib", lambda m: dict(dict.items(m.rcParams)), _put_plots
    ),
}


def late() -> Iterator[tuple[str, Any]]:
    """What is set now, by words that say what it is; of modules that are there."""
    for words, condition in CONDITIONS.items():
        module = sys.modules.get(condition.module)
        if module is not None:
            try:
                yield words, condition.get(module)
            except AttributeError:
                continue  # still being imported


def apply_late(wanted: dict[str, Any]) -> str | None:
    """Have this process the same; gives what cannot be set, in words."""
    import importlib

    for words, value in wanted.items():
        condition = CONDITIONS[words]
        if value is None and condition.module not in sys.modules:
            continue  # as it begins
        try:
            condition.put(importlib.import_module(condition.module), value)
        except Exception as error:
            return f"{words} cannot be set in a clean interpreter: {error}"
    return None


def context() -> dict[Any, Any]:
    """The context variables that are set, but for those of libraries that are asked otherwise."""
    contextvars = sys.modules.get("contextvars")
    if contextvars is None:
        return {}
    found = contextvars.copy_context().items()
    return {v: value for v, value in found if v.name not in LIBRARIES}
