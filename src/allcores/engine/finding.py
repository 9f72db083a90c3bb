"""Something that speaks for or against forking this process, for people."""

from __future__ import annotations

from typing import NamedTuple


class Finding(NamedTuple):
    """Something that speaks for or against forking this process."""

    what: str
    """For people: "2 threads of OpenBLAS", "thread 'beside'"."""
    why: str
    """What follows for forked workers: "ends its threads before a fork, ..."."""
    safe: bool
    detail: str = ""
    """Where it was found: a library's file and the folder it is in."""

    def phrase(self) -> str:
        """As what is in the way, as a part of a sentence."""
        if not self.what:
            return self.why
        verb = "are" if self.what[0].isdigit() else "is"
        running = "running" if "thread" in self.what else "in use"
        return f"{self.what} {verb} {running}, and {self.why}"
