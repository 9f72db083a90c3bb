"""What a caller, or the environment, asks for: read, checked, and kept together."""

from __future__ import annotations

import operator
import os
from typing import Any, NamedTuple

from allcores.engine.cores import usable_cores
from allcores.engine.limits import NO_LIMITS, Limits

PLACES = ("processes", "fork", "fresh", "threads", "serial")
"""What `on` may say. "processes": forks where this process can be forked, else fresh ones."""

JOURNAL = "journal.sqlite3"
"""The journal in the folder of `allcores run --resume`."""


MOST_THREADS = 64
"""So many workers a loop has at most whose iterations wait, where nobody says how many."""


class Settings(NamedTuple):
    """What the caller or the environment asked for."""

    workers: int
    on: str
    strict: bool
    chunk: int | None
    force: bool
    asked: bool = True
    """Whether the user marked this loop (`allcores run` marks loops nobody asked about)."""
    random: str = ""
    """What a loop does that draws random numbers: "streams", "plain", or "" where nobody said."""
    limits: Limits = NO_LIMITS
    on_error: str = "raise"
    """What becomes of an iteration that raises: "raise", "skip" or "collect"."""
    resume: str | None = None
    """The journal's file."""
    most: int = MOST_THREADS
    """How many workers a loop may have whose iterations wait."""

    @property
    def only_in_workers(self) -> bool:
        """Whether iterations must run in workers alone: what is asked for cannot be done here."""
        marked = self.resume is not None and self.asked
        return self.on_error != "raise" or self.limits.only_in_workers or marked

    @property
    def keeps_workers(self) -> bool:
        """Whether iterations stay with workers even where that costs more than it saves."""
        return self.force or self.only_in_workers

    def in_vain(self) -> str:
        """To be added to why there are no workers: what was asked for that only they can do."""
        given = {
            "on_error": self.on_error != "raise",
            "timeout": self.limits.timeout is not None,
            "memory": self.limits.memory is not None,
            "resume": self.resume is not None and self.asked,
        }
        names = [name for name, asked in given.items() if asked]
        if not names:
            return ""
        return f"; {' and '.join(names)} {'has' if len(names) == 1 else 'have'} no effect there"


def _environment(name: str) -> str | None:
    """A variable of the environment. `os.environ` takes a microsecond to say that it has none."""
    data = getattr(os.environ, "_data", None)
    if type(data) is dict and os.name == "posix" and os.fsencode(name) not in data:
        return None
    return os.environ.get(name)


def settings_of(
    workers: Any = None,
    on: Any = None,
    strict: Any = None,
    chunk: Any = None,
    random: Any = None,
    *,
    on_error: Any = None,
    timeout: Any = None,
    memory: Any = None,
    retries: Any = 1,
    resume: Any = None,
) -> Settings:
    """Settings from what was given and the environment. Raises TypeError and ValueError."""
    said = _said_count(workers)
    return Settings(
        said or usable_cores(),
        _one_of(on, "on", "ALLCORES_ON", PLACES, "processes"),
        bool(strict) or _flag("ALLCORES_STRICT"),
        count(chunk, "chunk") if chunk is not None else None,
        _flag("ALLCORES_FORCE"),
        random=_one_of(random, "random", "ALLCORES_RANDOM", ("streams", "plain"), ""),
        limits=Limits(
            _seconds(timeout),
            count(memory, "memory") if memory is not None else None,
            count(retries, "retries", least=0),
        ),
        on_error=_on_error(on_error),
        resume=_journal(resume),
        most=said or MOST_THREADS,
    )


def worker_count(given: Any) -> int:
    """How many workers: as given, as the environment says, or one for each core."""
    return _said_count(given) or usable_cores()


def _said_count(given: Any) -> int | None:
    """How many workers somebody asks for, if anybody does."""
    if given is not None:
        return count(given, "workers")
    text = _environment("ALLCORES_WORKERS")
    if not text:
        return None
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise ValueError(f"ALLCORES_WORKERS must be a whole number of at least 1, not {text!r}")
    return number


def count(value: Any, name: str, least: int = 1) -> int:
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise TypeError(f"{name} must be a whole number, not {value!r}")
    number = operator.index(value)
    if number < least:
        raise ValueError(f"{name} must be at least {least}, not {number}")
    return number


def _one_of(given: Any, name: str, variable: str, choices: tuple[str, ...], default: str) -> str:
    """An argument, or what the environment says in its place: one of a few words."""
    value = given if given is not None else _environment(variable) or default
    if isinstance(value, str) and (value in choices or value == default):
        return value
    name = name if given is not None else variable
    wrong = ValueError if isinstance(value, str) else TypeError
    *most, last = (f'"{choice}"' for choice in choices)
    words = f"{', '.join(most)} or {last}"
    raise wrong(f"{name} must be {words}, not {value!r}")


def _flag(name: str) -> bool:
    text = _environment(name)
    if not text:
        return False
    if text.lower() in ("1", "true", "yes", "on"):
        return True
    if text.lower() in ("0", "false", "no", "off"):
        return False
    raise ValueError(f"{name} must be 1 or 0, not {text!r}")


def _on_error(given: Any) -> str:
    choices = ("raise", "skip", "collect")
    if given is None or (isinstance(given, str) and given in choices):
        return given or "raise"
    wrong = ValueError if isinstance(given, str) else TypeError
    raise wrong(f'on_error must be "raise", "skip" or "collect", not {given!r}')


def _journal(given: Any) -> str | None:
    """The journal's file: as given, or the one in the folder that the environment names."""
    if given is not None:
        return os.fsdecode(os.fspath(given)) or None
    folder = _environment("ALLCORES_RESUME")
    return os.path.join(folder, JOURNAL) if folder else None


def is_of_environment(journal: str) -> bool:
    """Whether a journal's file is the one that the environment names."""
    return journal == _journal(None)


def _seconds(given: Any) -> float | None:
    if given is None:
        return None
    if isinstance(given, bool) or not isinstance(given, (int, float)):
        raise TypeError(f"timeout must be a number of seconds, not {given!r}")
    if not given > 0:
        raise ValueError(f"timeout must be more than 0 seconds, not {given}")
    return float(given)
