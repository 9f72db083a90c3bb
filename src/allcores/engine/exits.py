"""What becomes of the workers that stay when the program forks or ends."""

from __future__ import annotations

import atexit
import os
import sys
import threading
import weakref
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from allcores.engine.staff import Staff

busy: set[Staff] = set()
"""Those with something left to do stay, though nobody may hold them."""
_all: weakref.WeakSet[Staff] = weakref.WeakSet()
_prepared = False


def see_to(staff: Staff) -> None:
    """Have this one end with the program, and be disowned by its forks."""
    _all.add(staff)
    _prepare()


def _prepare() -> None:
    global _prepared
    if _prepared:
        return
    _prepared = True
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_disown_all)
    atexit.register(_terminate_all)
    # As concurrent.futures does: threads are joined before atexit functions are called.
    register: Any = getattr(threading, "_register_atexit", None)
    if register is not None:
        try:
            register(_stop_helpers)
        except RuntimeError:
            pass


def _disown_all() -> None:
    busy.clear()
    for staff in list(_all):
        staff.disown()


def _ends_by_interrupt() -> bool:
    """Whether an uncaught Ctrl-C is why the program ends."""
    last = getattr(sys, "last_exc", None) or getattr(sys, "last_value", None)
    # At a prompt, the last exception may be long ago.
    return isinstance(last, KeyboardInterrupt) and not hasattr(sys, "ps1")


def _stop_helpers() -> None:
    for staff in list(_all):
        if staff.owner == os.getpid():
            if _ends_by_interrupt():
                staff.terminate("the program was interrupted before this was done", hurried=True)
            with staff.changed:
                staff.exiting = True
                if staff.helper is not None:
                    staff.ring()
                staff.changed.notify_all()


def _terminate_all() -> None:
    for staff in list(_all):
        staff.terminate("the program has ended")
