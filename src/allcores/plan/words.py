"""A Plan in sentences."""

from __future__ import annotations

from allcores.plan.effects import in_words
from allcores.plan.model import Plan

OWN_ITEM = "each iteration its own item"


def sentences(plan: Plan) -> list[str]:
    """The Plan in plain words, a sentence a line.

    >>> from allcores.plan import plan_source
    >>> [plan] = plan_source("for a in xs:\\n    out.append((a + 1) * k)\\n")
    >>> for line in sentences(plan):
    ...     print(line)
    varies: `a`
    fixed: `k`
    in workers: `(a + 1) * k`
    in order, here: `out.append(·)`
    """
    lines = [f"varies: {_names(plan.varying)}", f"fixed: {_names(plan.fixed)}"]
    if plan.verdict == "parallel":
        lines += [f"in workers: `{text}`" for text in plan.work] or ["in workers: nothing"]
        if plan.in_place:
            lines.append(f"changes in place: {_names(plan.in_place)} ({OWN_ITEM})")
        lines += [f"in order, here: `{c.source}`" for c in plan.commits]
    lines += [f"line {r.line}: {r.text}" for r in plan.reasons]
    return lines + random_lines(plan)


def random_lines(plan: Plan) -> list[str]:
    """What is to be said of the random streams that iterations draw from."""
    return [
        f"line {line}: {what} draws from `{in_words(root)}`; each iteration has a stream of its "
        "own, so the numbers are not the plain loop's"
        for root, (line, what) in sorted(plan.draws.items(), key=lambda each: each[1][0])
    ] + [f"`{in_words(root)}` is seeded by every iteration" for root in sorted(plan.seeded)]


def _names(names: list[str]) -> str:
    return ", ".join(f"`{n}`" for n in names) or "nothing"
