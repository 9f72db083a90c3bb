"""What `allcores doctor` has found out, laid out for people."""

from __future__ import annotations

import os
from typing import Any

from allcores.show.plans import Line

_WIDTH = 14


def lines_of(facts: dict[str, Any]) -> list[Line]:
    """The report, line by line."""
    lines = [*_machine(facts), *_ways(facts)]
    if facts["imports"]:
        lines += _title("Imports, and whether a process can be forked after them")
        for each in facts["imports"]:
            lines += _import(each)
    return lines


def _title(text: str) -> list[Line]:
    return [[("", "")], [(text, "place")]]


def _row(label: str, text: str, style: str = "") -> Line:
    return [(f"    {label:<{_WIDTH}}", "label"), (text, style)]


def _machine(facts: dict[str, Any]) -> list[Line]:
    python, system = facts["python"], facts["platform"]
    lock = "with its global lock" if python["gil"] else "without a global lock: threads compute"
    name = "" if python["implementation"] == "CPython" else f"{python['implementation']} "
    versions = dict(facts["versions"])
    ours = versions.pop("allcores", "of this source tree")
    return [
        [("This machine", "place")],
        _row("allcores", ours),
        _row("Python", f"{name}{python['version']}, {lock}"),
        _row("system", " ".join(filter(None, system.values()))),
        *_cores(facts["cores"]),
        _row("memory", _memory(facts["memory"])),
        _row("memory files", _memory_files(facts["memory_files"])),
        *_wrapped("libraries", [f"{name} {version}" for name, version in versions.items()]),
    ]


def _cores(cores: dict[str, Any]) -> list[Line]:
    """The number, and all that limits it; the smallest comes first, and decides."""
    lines = [_row("cores", str(cores["usable"]))]
    for k, limit in enumerate(cores["limits"]):
        decides = "" if k else "; this decides"
        lines.append(_row("", f"{limit['name']}: {limit['cores']:g}{decides}", "label"))
    return lines


def _memory(memory: dict[str, Any]) -> str:
    if memory["free"] is None:
        return "not to be told here"
    return f"{_size(memory['free'])} left of {_size(memory['total'])}"


def _memory_files(files: dict[str, Any]) -> str:
    shm = (
        "there is no /dev/shm"
        if files["shm_free"] is None
        else f"/dev/shm has {_size(files['shm_free'])} left"
    )
    return f"{'yes, by memfd_create' if files['memfd'] else 'not by memfd_create'}; {shm}"


def _size(number: float) -> str:
    for unit in ("bytes", "KB", "MB"):
        if number < 1024:
            return f"{number:.0f} {unit}"
        number /= 1024
    return f"{number:.1f} GB"


def _wrapped(label: str, words: list[str]) -> list[Line]:
    """A row of words separated by commas, in as many lines as it takes."""
    rows: list[str] = []
    for word in words:
        if rows and len(rows[-1]) + len(word) < 78:
            rows[-1] += f", {word}"
        else:
            rows.append(word)
    return [_row(label if k == 0 else "", row) for k, row in enumerate(rows)]


def _ways(facts: dict[str, Any]) -> list[Line]:
    lines = _title("How workers can be made")
    names = {"fork": "fork", "fresh": "clean Python", "threads": "threads"}
    for way, name in names.items():
        found = facts["ways"][way]
        seconds = found["seconds"]
        took = f", {1000 * seconds:.1f} ms until the first can begin" if seconds is not None else ""
        if found["why_not"] is None:
            waiting = ", for loops that wait" if way == "threads" and facts["python"]["gil"] else ""
            lines.append(_row(name, f"yes{waiting}{took}", "parallel"))
        else:
            lines.append(_row(name, f"no: {found['why_not']}", "serial"))
    default = facts["default"]
    if default["why_not"] is not None:
        lines.append(_row("loops take", f"none, and run serially: {default['why_not']}", "serial"))
    else:
        why = f": {default['why']}" if default["why"] else ""
        lines.append(_row("loops take", names[default["way"]] + why))
    for each in facts["findings"]:
        lines.append(_row("", _finding(each)))
    return lines


def _finding(finding: dict[str, Any]) -> str:
    where = f" ({finding['detail']})" if finding["detail"] else ""
    what = f"{finding['what']}{where}: " if finding["what"] else ""
    return f"{what}{finding['why']}"


def _import(found: dict[str, Any]) -> list[Line]:
    name = found["module"]
    if found["error"]:
        return [_row(name, found["error"], "serial")]
    safe = found["fork_safe"]
    lines = [_row(name, "yes" if safe else "no", "parallel" if safe else "serial")]
    for each in found["findings"]:
        lines.append(_row("", _finding(each), "" if each["safe"] else "serial"))
    later = found["once_used"]
    if later is not None:
        style = "" if later["safe"] else "serial"
        lines.append(
            _row("", f"once it is used, threads of {later['threads']}: {later['why']}", style)
        )
    for pool in found["pools"]:
        version = f" {pool['version']}" if pool["version"] else ""
        many = f"{pool['num_threads']} thread{'s' * (pool['num_threads'] != 1)}"
        text = f"{pool['internal_api']}{version} uses {many} ({os.path.basename(pool['filepath'])})"
        lines.append(_row("", text, "label"))
    return lines
