"""The report of `allcores find` as one web page, with the source and its heat beside it."""

from __future__ import annotations

import os
from typing import Any

from allcores.find.report import Report, version
from allcores.show.heat import numbers, verdict, where
from allcores.show.summary import spoken


def page_of(report: Report) -> str:
    """A self-contained HTML page: no script, and nothing from anywhere else."""
    from jinja2 import Environment, PackageLoader

    environment = Environment(
        loader=PackageLoader("allcores.show", "templates"), autoescape=True, trim_blocks=True
    )
    loops = [
        {
            "where": where(r),
            "text": r.loop.text,
            "share": r.share,
            "numbers": numbers(r),
            "verdict": verdict(r, report),
            "recommended": r.recommended,
            "diff": report.change(r) if r.recommended else "",
        }
        for r in report.loops
    ]
    return environment.get_template("find.html").render(
        total=spoken(report.total),
        cores=report.costs.cores,
        version=version(),
        loops=loops,
        files=[_file(name, report) for name in report.sources],
    )


def _file(name: str, report: Report) -> dict[str, Any]:
    """A file's lines, each with the share of the innermost loop that it stands in."""
    heat = [0.0] * (len(report.sources[name]) + 2)
    marked: dict[int, str] = {}
    inside = [r for r in report.loops if r.loop.plan.file == name]
    for r in sorted(inside, key=lambda r: r.loop.plan.line):
        node = r.loop.plan.node
        for line in range(node.lineno, (node.end_lineno or node.lineno) + 1):
            heat[line] = r.share
        marked[node.lineno] = f"{r.share:.1%}"
    lines = [
        {"number": k, "text": text, "heat": min(heat[k], 1.0), "share": marked.get(k, "")}
        for k, text in enumerate(report.sources[name], 1)
    ]
    return {"name": os.path.relpath(name), "lines": lines}
