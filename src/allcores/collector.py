"""Python's garbage collector, kept from going through the user's data on our account."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

MADE = 100
"""So many new objects bring the next collection nearer than the program alone would."""


@contextmanager
def collector_paused() -> Iterator[None]:
    """Make many objects that stay, such as a syntax tree, without a collection.

    What is young is counted among the old afterwards. Else the collector would go through it at
    the next occasion, and with it through any long list that the program has just made.
    """
    if not gc.isenabled() or gc.get_freeze_count():
        yield
        return
    before = gc.get_count()[0]
    try:
        gc.disable()
        yield
    finally:
        try:
            if gc.get_count()[0] > min(before + MADE, gc.get_threshold()[0]):
                gc.freeze()
                gc.unfreeze()
        finally:
            try:
                gc.enable()
            finally:
                gc.enable()  # a signal may have come just as it was to be called
