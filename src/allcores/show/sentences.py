"""Sentences that several commands say."""

from __future__ import annotations


def not_python(path: str, error: SyntaxError | ValueError) -> str:
    """A sentence saying that a file is not valid Python, and where."""
    if not isinstance(error, SyntaxError):
        return f"{path} is not valid Python: {error}"
    where = f", line {error.lineno}," if error.lineno else ""
    line = (error.text or "").strip()
    return f"{path}{where} is not valid Python: {error.msg}" + (f": {line}" if line else "")
