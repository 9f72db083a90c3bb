"""Finding out by running whether two programs, or a loop's two ways, come out the same."""

from allcores.verify.loops import verify_loops
from allcores.verify.scripts import compare_scripts

__all__ = ["compare_scripts", "verify_loops"]
