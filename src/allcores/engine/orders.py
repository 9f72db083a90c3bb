"""What is asked of workers that stay: jobs, the orders they are cut up into, and their functions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from allcores.engine.failures import Ending, WorkerDied, shown
from allcores.engine.functions import dumps

if TYPE_CHECKING:
    from allcores.engine.staff import Staff


class Function:
    """A function as workers know it."""

    def __init__(self, number: int, payload: bytes, needs: int, cost_key: Any) -> None:
        self.number = number
        self.payload = payload
        self.needs = needs
        """The oldest generation of workers that has it (or all it names)."""
        self.cost_key = cost_key
        self.stuck: BaseException | None = None
        """Why it cannot be pickled, if so."""


class Order:
    """A chunk of a job: what a worker is given at a time."""

    __slots__ = ("deaths", "items", "job", "payload", "seq", "size", "start", "style")

    def __init__(
        self, job: Job, start: int, items: Sequence[Any], style: int, payload: bytes | None = None
    ) -> None:
        self.job, self.start, self.items, self.style = job, start, items, style
        self.payload = payload
        self.seq = self.size = self.deaths = 0


class Job:
    """Something asked of the workers; kinds of it say how it is cut up and what becomes of it.

    All methods but `report` are called with the staff's lock held.
    """

    each = False
    """Whether a chunk goes on after an item raised."""
    cancellable = False
    """Whether somebody may wish that what no worker was given is not done any more."""
    done = False

    def __init__(self, staff: Staff, call: Any, function: Function | None = None) -> None:
        self.staff, self.call = staff, call
        self.function = function or staff.introduce(call)

    def take(self) -> Order | None:
        """The next order, None when there is none at the moment."""
        raise NotImplementedError

    def exhausted(self) -> bool:
        """Whether `take` will never give another order."""
        raise NotImplementedError

    def settle(self, order: Order, outcomes: list[Any]) -> bool:
        """Keep an order's outcomes; True when the whole job is finished by it."""
        raise NotImplementedError

    def fail(self, order: Order, at: int, error: BaseException) -> bool:
        """As `settle`, when item `at` of the order (and so all the order) has failed."""
        raise NotImplementedError

    def give_up(self, error: BaseException) -> bool:
        """As `settle`, for all that has not been ordered yet."""
        raise NotImplementedError

    def report(self) -> None:
        """Tell those who want to know that it is finished. Called without the lock."""


def died_at(order: Order, at: int, how: Ending) -> WorkerDied:
    """The error for the task that a worker died on."""
    item = shown(order.items[at]) if at < len(order.items) else "?"
    return WorkerDied(
        f"a worker {how.in_words()} in task {order.start + at} (item {item}){how.memory()}. "
        "The pool goes on with a new worker; run that item alone to see why."
    )


def unpicklable_item(order: Order, error: Exception) -> int:
    """Which item of an order cannot be pickled; the error gets a note that names it."""
    for at, item in enumerate(order.items):
        try:
            dumps(item)
        except Exception:
            error.add_note(
                f"task {order.start + at} cannot be sent to a worker: its"
                f" {type(item).__name__} cannot be pickled"
            )
            return at
    return 0
