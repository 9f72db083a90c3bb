"""64 windows of one fixed array of 800 MB, which clean interpreters have from the loop before.

Nothing of it is sent again, for the kernel tells that nothing of it was written to since.
"""

from fixed_first import measure
from windows import seconds
from work import Work

WORK = Work(
    "fixed_second",
    "the same again: they have it already",
    "0.05 s",
    seconds,
    0.05,
    variants=("plain", "allcores"),
)

if __name__ == "__main__":
    measure(1)
