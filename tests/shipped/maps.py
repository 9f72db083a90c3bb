"""`map` and loops whose results and exceptions are of classes that no other interpreter finds."""

import helper

import allcores
from allcores import parallel


class Mine(Exception):
    def __init__(self, a, b):
        super().__init__(a)
        self.b = b


def of_main():
    class Local:
        def __init__(self, x):
            self.x = x

    class Odd(Exception):
        b = 2

    def fails(x):
        raise Odd(x)

    def fails_too(x):
        raise Mine(x, 3)

    results = []
    for x in parallel(range(12)):
        results.append(Local(x))
    print([r.x for r in results] == list(range(12)), {type(r) is Local for r in results})
    found = allcores.map(lambda one: Local(one.x + 1), results)
    print([r.x for r in found] == list(range(1, 13)), {type(r) is Local for r in found})
    for function, kind in ((fails, Odd), (fails_too, Mine)):
        try:
            allcores.map(function, range(3))
        except kind as error:
            print(type(error) is kind, error.args, error.b)
    loop = parallel(range(6), on_error="collect")
    for x in loop:
        if x % 2:
            fails(x)
        results.append(x)
    print([type(failure.exception) is Odd for failure in loop.errors], results[12:])


def of_a_module():
    helper.DEBUG = True
    print(set(allcores.map(helper.debugged, range(9))) == {(x, True) for x in range(9)})
    helper.DEBUG = False
    print(set(allcores.map(helper.debugged, range(9))) == {(x, False) for x in range(9)})
    kinds = [helper.Kind(str(k)) for k in range(9)]
    print(allcores.map(helper.Kind.cost, kinds, range(9)) == [2 * k for k in range(9)])


of_main()
of_a_module()
