"""A module that clean interpreters have to import, for code comes by it as an attribute."""


def doubled(x):
    return 2 * x
