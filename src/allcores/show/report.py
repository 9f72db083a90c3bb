"""What `allcores find` writes at its end: to the terminal, as JSON and as a page."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from allcores.find.findings import as_data

if TYPE_CHECKING:
    from allcores.find.session import Session


def write_report(session: Session, output: TextIO | None, page: Path | None, as_json: bool) -> None:
    """Write what the session has found; a sentence on stderr where it cannot be written."""
    found = session.findings()
    try:
        if page is not None:
            from allcores.show.heat import page_of

            _write_whole(page, page_of(found, session.texts, session.shown))
    except OSError as error:
        _complain(f"{page} cannot be written: {error.strerror}.")
    if output is None:
        return
    try:
        if as_json:
            for file in found.unread:
                _complain(f"the loops of {file} could not be read, and were not measured.")
            json.dump(as_data(found), output, indent=2)
            output.write("\n")
        else:
            from allcores.show.ranking import write_ranking

            write_ranking(found, output, session.shown)
        output.flush()
    except (BrokenPipeError, ValueError):
        # Nobody reads it, or the program closed it. Nothing is left to be flushed at exit either.
        _drop(output)


def _write_whole(page: Path, text: str) -> None:
    """Write the file in one go: a reader never sees half of it."""
    beside = page.with_name(f".{page.name}.{os.getpid()}")
    try:
        beside.write_text(text, encoding="utf-8")
        os.replace(beside, page)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def _complain(sentence: str) -> None:
    if sys.__stderr__ is not None:
        print(f"allcores: {sentence}", file=sys.__stderr__)


def _drop(output: TextIO) -> None:
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), output.fileno())
    except (OSError, ValueError):
        pass
