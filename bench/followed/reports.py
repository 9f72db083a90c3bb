"""Records read, checked and summed up: decorators, dataclasses, class methods, formats."""

from __future__ import annotations

import functools
import json
import statistics
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from datetime import date
from typing import Any

from allcores import parallel


def checked(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        result = function(*args, **kwargs)
        if result is None:
            raise ValueError(f"{function.__name__} gave nothing")
        return result

    return wrapper


@dataclass(frozen=True)
class Sale:
    day: date
    product: str
    amount: float
    price: float

    @classmethod
    def parse(cls, row: dict[str, Any]) -> Sale:
        day = date.fromisoformat(row["day"])
        return cls(day, row["product"].strip().lower(), float(row["amount"]), float(row["price"]))

    @property
    def total(self) -> float:
        return self.amount * self.price


@dataclass
class Report:
    name: str
    totals: dict[str, float] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.name = self.name.title()

    def add(self, sale: Sale) -> None:
        self.totals[sale.product] = self.totals.get(sale.product, 0.0) + sale.total

    def note(self, problem: Exception) -> None:
        self.problems.append(f"{type(problem).__name__}: {problem}")

    @property
    def typical(self) -> float:
        return statistics.median(self.totals.values()) if self.totals else 0.0

    def __str__(self) -> str:
        lines = [f"{name:<10}{total:>10.2f}" for name, total in sorted(self.totals.items())]
        return "\n".join([self.name, *lines, f"median {self.typical:.2f}"])


class Reader:
    keep = ("day", "product", "amount", "price")

    def __init__(self, *filters: Callable[[Sale], bool]) -> None:
        self.filters = filters

    def rows(self, text: str) -> Iterable[dict[str, Any]]:
        for row in json.loads(text):
            yield {key: row[key] for key in self.keep}

    @checked
    def report(self, name: str, text: str) -> Report:
        report = Report(name)
        for row in self.rows(text):
            try:
                sale = Sale.parse(row)
            except (KeyError, ValueError) as problem:
                report.note(problem)
                continue
            if all(test(sale) for test in self.filters):
                report.add(sale)
        return report


def main() -> list[str]:
    row = {"day": "2024-01-05", "product": " Tea", "amount": "3", "price": "2.5"}
    texts = [json.dumps([row | {"amount": str(k)}] * 20) for k in range(8)]
    reader = Reader(lambda sale: sale.amount > 1, lambda sale: bool(sale.product))
    shown = []
    for k, text in parallel(list(enumerate(texts))):
        report = reader.report(f"shop {k}", text)
        shown.append(f"{report!s}\n{len(asdict(report))} parts")
    return shown
