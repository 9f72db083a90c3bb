"""The methods that Python calls by itself: `a + b`, `f"{a}"`, `if a`, `for x in a`, `len(a)`."""

from __future__ import annotations

import ast

Names = frozenset[str]


def _names(text: str) -> Names:
    return frozenset(f"__{name}__" for name in text.split())


NONE: Names = frozenset()
TRUTH = _names("bool len")
ITERATION = _names("iter next reversed len getitem")
TEXT = _names("str repr format")
ORDER = _names("lt gt le ge")
EQUAL = _names("eq ne")
KEYS = _names("hash eq")
NUMBERS = _names("int float complex index trunc round abs floor ceil bytes")
ATTRIBUTES = _names("getattr getattribute")
COPIES = _names("copy deepcopy reduce reduce_ex getstate")
ITEM = _names("getitem missing class_getitem index") | KEYS
IN = _names("contains getitem") | ITERATION | KEYS
TYPES = _names("instancecheck subclasscheck subclasshook")
STORING = _names("setattr")
STORING_ITEM = _names("setitem")
DELETING = _names("delitem delattr")
MAKING_CLASSES = _names("init_subclass set_name")

_ARITHMETIC = {
    ast.Add: "add",
    ast.Sub: "sub",
    ast.Mult: "mul",
    ast.Div: "truediv",
    ast.FloorDiv: "floordiv",
    ast.Mod: "mod",
    ast.Pow: "pow",
    ast.MatMult: "matmul",
    ast.BitAnd: "and",
    ast.BitOr: "or",
    ast.BitXor: "xor",
    ast.LShift: "lshift",
    ast.RShift: "rshift",
}
_BINARY: dict[type[ast.AST], Names] = {
    kind: _names(f"{name} r{name}") for kind, name in _ARITHMETIC.items()
}
_BINARY[ast.Mod] |= TEXT | NUMBERS  # `"%s" % a`
_IN_PLACE = {kind: _names(f"i{name}") for kind, name in _ARITHMETIC.items()}
_UNARY: dict[type[ast.AST], Names] = {
    ast.UAdd: _names("pos"),
    ast.USub: _names("neg"),
    ast.Invert: _names("invert"),
    ast.Not: TRUTH,
}
_COMPARED: dict[type[ast.AST], Names] = {
    ast.Eq: EQUAL,
    ast.NotEq: EQUAL,
}
READING = (
    frozenset().union(*_BINARY.values(), *_UNARY.values())
    | _names("divmod rdivmod contains getitem missing")
    | _names("array array_ufunc array_function array_finalize array_wrap array_prepare")
    | TRUTH
    | ITERATION
    | TEXT
    | ORDER
    | EQUAL
    | KEYS
    | NUMBERS
    | COPIES
)
"""What any function may call of the objects it is given."""
SPECIAL = READING.union(*_IN_PLACE.values()) | ATTRIBUTES | ITEM | TYPES
SPECIAL |= STORING | STORING_ITEM | DELETING | MAKING_CLASSES
"""All of them that are looked for in classes."""

_CALLS: dict[str, Names] = {
    "id": NONE,
    "type": NONE,
    "callable": NONE,
    "len": _names("len"),
    "bool": TRUTH,
    "isinstance": TYPES,
    "issubclass": TYPES,
    "hash": KEYS,
    "iter": ITERATION,
    "next": ITERATION,
    "enumerate": ITERATION,
    "zip": ITERATION,
    "map": ITERATION,
    "reversed": ITERATION,
    "list": ITERATION,
    "tuple": ITERATION,
    "range": NUMBERS,
    "getattr": ATTRIBUTES,
    "hasattr": ATTRIBUTES,
}
ONLY_ITS_OWN = ITERATION | TRUTH | ATTRIBUTES | TYPES | _names("contains missing class_getitem")
"""Those that are called of the object itself, and of nothing that it holds."""
OF_ITSELF = _names("iter next getattr getattribute array_finalize")
"""Those that are there to change their object, or to finish one that is just being made. Iterators
that outlive the iteration are found where the objects are known."""


def of_node(node: ast.AST) -> Names:
    """What evaluating this node may call of its operands."""
    if isinstance(node, ast.BinOp):
        return _BINARY[type(node.op)]
    if isinstance(node, ast.AugAssign):
        return _BINARY[type(node.op)]
    if isinstance(node, ast.UnaryOp):
        return _UNARY[type(node.op)]
    if isinstance(node, ast.Subscript):
        return ITEM
    if isinstance(node, ast.FormattedValue):
        return TEXT
    if isinstance(node, (ast.Starred, ast.comprehension, ast.For, ast.Tuple, ast.List)):
        return ITERATION
    return NONE


def of_comparison(op: ast.cmpop) -> tuple[Names, Names]:
    """What a comparison may call of its left operand, and of its right one."""
    if isinstance(op, (ast.In, ast.NotIn)):
        return KEYS | EQUAL, IN
    names = NONE if isinstance(op, (ast.Is, ast.IsNot)) else _COMPARED.get(type(op), ORDER)
    return names, names


def in_place(op: ast.operator) -> Names:
    """What `a += b` calls of `a`."""
    return _IN_PLACE[type(op)]


def of_builtin(name: str) -> Names:
    """What a builtin function may call of its arguments."""
    return _CALLS.get(name, READING)
