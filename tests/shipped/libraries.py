"""As `cases.py`, with libraries: what is set in them, put into them, and made by them."""

import collections

import cases
import matplotlib
import numpy as np
import pandas as pd
from cases import N, case

cases.CASES.clear()
TURNED = np.asfortranarray(np.random.default_rng(1).random((50, 70)))
STRIDED = np.random.default_rng(2).random((300, 7))[::3, 1:5]
FRAME = pd.DataFrame({"a": [1.5, np.nan, 3.0], "b": ["x", None, "z"]})


@case
def layout_of_arrays():
    yield lambda x: (TURNED.sum() + x, STRIDED.sum(), TURNED.strides, STRIDED.strides)


@case
def arrays_that_are_read_only():
    fixed = np.arange(5)
    fixed.flags.writeable = False
    yield lambda x: (fixed.flags.writeable, TURNED.flags.writeable, x)


@case
def arrays_in_items():
    rows = [np.random.default_rng(k).random((4, 6))[:, ::2] for k in range(N)]
    yield (lambda row: (row.sum(), row.strides)), rows


@case
def not_a_number_as_such():
    values = [1.0, np.nan]
    yield lambda x: (values[1] is np.nan, np.nan in values, x)


@case
def not_a_number_in_items():
    yield (lambda x: x is np.nan), [np.nan, 1.0, float("nan")] * 4


@case
def function_by_another():
    old, np.mean = np.mean, np.median
    yield lambda x: float(np.mean([x, 0, 0]))
    np.mean = old


@case
def frames():
    yield lambda x: (FRAME.a.sum() + x, int(FRAME.b.isna().sum()), [str(t) for t in FRAME.dtypes])


@case
def errors_of_numbers():
    old = np.seterr(divide="raise")

    def work(x):
        try:
            return float(np.float64(x + 1) / np.float64(0))
        except FloatingPointError:
            return "raised"

    yield work
    np.seterr(**old)


@case
def how_numbers_are_printed():
    old = np.get_printoptions()
    np.set_printoptions(precision=2, formatter={"int": lambda x: f"<{x}>"})
    yield lambda x: str(np.array([x / 7])) + str(np.array([x]))
    np.set_printoptions(**{k: v for k, v in old.items() if k != "override_repr"})


@case
def options_of_pandas():
    pd.set_option("display.precision", 2)
    yield lambda x: str(pd.Series([x / 7]))
    pd.reset_option("display.precision")


@case
def options_of_pandas_again():
    yield lambda x: str(pd.Series([x / 7]))


@case
def settings_of_plots():
    matplotlib.rcParams["lines.linewidth"] = 7
    yield lambda x: matplotlib.rcParams["lines.linewidth"] + x
    matplotlib.rcParams["lines.linewidth"] = 1.5


@case
def function_replaced():
    old = np.sqrt
    np.sqrt = lambda x: -x
    yield lambda x: np.sqrt(x)
    np.sqrt = old


@case
def method_replaced():
    old = pd.Series.mean
    pd.Series.mean = lambda self: "mine"
    yield lambda x: pd.Series([x]).mean()
    pd.Series.mean = old


@case
def method_as_it_was():
    yield lambda x: pd.Series([x]).mean()


class Measured(np.ndarray):
    unit = "m"


@case
def subclasses_of_arrays():
    one = np.arange(4.0).view(Measured)
    one.unit = "km"
    yield lambda x: (type(one) is Measured, one.unit, float(one.sum()) + x)


class Noted(pd.DataFrame):
    _metadata = ["note"]


@case
def subclasses_of_frames():
    one = Noted({"a": [1, 2]})
    one.note = "n"
    yield lambda x: (one.note, int(one.a.sum()) + x)


class Counted(collections.Counter):
    def __init__(self, *given):
        super().__init__(*given)
        self.label = "l"


class Ordered(collections.OrderedDict):
    pass


@case
def subclasses_of_counters():
    one, two = Counted("abb"), Ordered(a=1, b=2)
    one.label = two.label = "mine"
    two.move_to_end("a")
    yield lambda x: (one.label, one["b"] + x, list(two), two.label, type(two) is Ordered)


if __name__ == "__main__":
    cases.main()
