"""A module of the program, which clean interpreters import."""

import decimal
import enum
import functools
import math
import random

DEBUG = False
TABLE = {"a": 1}
MISSING = object()
registry = {}
rng = random.Random(3)
LEVELS = [1, 2]


class Color(enum.Enum):
    RED = 1
    BLUE = 2


class Kind:
    rate = 2
    plugins = []

    def __init__(self, name):
        self.name = name

    def cost(self, x):
        return self.rate * x + len(self.plugins)


Kind.FIRST = Kind("first")
kind = Kind("kind")


class Odd(Exception):
    pass


def debugged(x):
    return (x, DEBUG)


def kind_of_all(x):
    return kind.name, x


def looked_up(x):
    return TABLE.get("b", x)


def is_missing(value):
    return value is MISSING


def plugged(x):
    return [f(x) for _, f in sorted(registry.items())]


def rooted(x):
    return math.sqrt(x)


def drawn(x):
    return rng.random() + x


@functools.singledispatch
def shown(x):
    return f"object {x}"


@functools.lru_cache
def remembered(x):
    return x * 2


OFFSET = {"k": 1}


@functools.lru_cache
def moved(x):
    return x + OFFSET["k"]


@functools.lru_cache
def the_kind():
    return Kind("first")


def divided(x):
    return decimal.Decimal(x) / 7


def levels(x):
    LEVELS_HERE = LEVELS
    return LEVELS_HERE, x
