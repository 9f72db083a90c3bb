"""Keeping what is written to the two standard streams, by whatever means, for a while."""

from __future__ import annotations

import os

from allcores.verify import twin


class Streams:
    """Keeps what is written to the two standard streams, from now until `stop`."""

    def __init__(self) -> None:
        twin.flush()
        self.saved = {number: os.dup(number) for number in (1, 2)}
        self.kept = {number: os.memfd_create("allcores-verify") for number in (1, 2)}
        for number, file in self.kept.items():
            os.dup2(file, number)

    def stop(self, show: bool) -> dict[str, list[str]]:
        """Give back the streams; returns the lines written. show: they are written to them after all."""
        twin.flush()
        found = {}
        for number, name in ((1, "stdout"), (2, "stderr")):
            os.dup2(self.saved[number], number)
            os.close(self.saved[number])
            file = self.kept[number]
            text = os.pread(file, os.fstat(file).st_size, 0)
            os.close(file)
            found[name] = text.decode("utf-8", "backslashreplace").splitlines()
            if show:
                write(number, text)
        return found


def write(number: int, text: bytes) -> None:
    """Write all of it to a file descriptor."""
    while text:
        text = text[os.write(number, text) :]
