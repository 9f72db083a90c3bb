"""A module that registers what it has, and is imported by a name made at run time."""

from package import registered


class Doubling:
    def run(self, x):
        return 2 * x


registered["doubling"] = Doubling
