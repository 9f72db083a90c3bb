"""What goes beside the pickle, and that it comes out as it went in: equal, writable, of the same layout."""

from __future__ import annotations

import pickle
import subprocess
import sys
from array import array
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from allcores.engine import packing
from allcores.engine.packing import LONG, encode, long_ones, size_of

N = 100_000


@pytest.fixture(autouse=True)
def looks_for_long_ones() -> None:
    long_ones.misses = 0


def sent(value: Any, items: bool = False) -> tuple[Any, int, int]:
    """The value as it arrives, the bytes of the pickle, and those beside it."""
    for _ in range(2):  # that there are long texts is known after the first
        body, big = encode(value, items=items)
    beside = [bytearray(buffer.raw()) for buffer in big]
    return pickle.loads(body, buffers=beside), len(body), sum(map(size_of, big))


VALUES: dict[str, Any] = {
    "bytes": b"\1" * LONG,
    "bytearray": bytearray(LONG),
    "text": "ä" * LONG + "\udc80\N{GRINNING FACE}",
    "numbers": array("d", range(N)),
    "integers": array("h", [-1, 2] * N),
}


@pytest.mark.parametrize("name", VALUES)
def test_long_ones_go_beside_the_pickle(name: str) -> None:
    value = VALUES[name]
    got, body, beside = sent([value, 1, value])
    assert got == [value, 1, value] and type(got[0]) is type(value)
    assert got[0] is got[2]
    assert body < 1000 and beside >= LONG


def test_long_ones_deep_inside_with_arrays() -> None:
    value = [{"a": (np.arange(N), b"x" * LONG)}, "y" * LONG, np.arange(5), "y"]
    got, body, beside = sent(value)
    assert np.array_equal(got[0]["a"][0], value[0]["a"][0]) and got[0]["a"][0].flags.writeable
    assert got[0]["a"][1] == b"x" * LONG and got[1] == "y" * LONG and got[3] == "y"
    assert body < 2000 and beside == 8 * N + 2 * LONG


def test_looking_for_long_ones_is_given_up() -> None:
    many = list(range(LONG))
    for _ in range(10):
        encode(many)
    assert not long_ones.likely
    encode("a" * LONG)
    assert not long_ones.likely


def layouts() -> dict[str, Any]:
    whole = np.arange(4.0 * 60 * 50).reshape(60, 200)
    cube = np.arange(40.0 * 30 * 50).reshape(40, 30, 50)
    return {
        "column": whole[:, 3],
        "part": whole[:, 5:60],
        "every other": whole[::2, ::3],
        "backwards": whole[::-1, 4:9],
        "fortran": np.asfortranarray(whole),
        "part of fortran": np.asfortranarray(whole)[3:20],
        "axes": cube.transpose(2, 0, 1)[5:20],
        "inner axis": cube[:, 2],
        "inner part": cube[3:5, :, ::2],
        "one": cube[:, 1, 1],
        "empty": whole[:, 3:3],
        "repeated": np.broadcast_to(np.arange(5.0), (20, 5)),
        "windows": np.lib.stride_tricks.sliding_window_view(np.arange(50.0), 5),
        "record": np.zeros(50, [("a", "i4"), ("b", "f8")])["b"],
        "read only": np.frombuffer(bytes(800)),
    }


@pytest.mark.parametrize("name", layouts())
@pytest.mark.parametrize("items", [True, False])
def test_arrays_keep_their_layout(name: str, items: bool) -> None:
    value = layouts()[name]
    got, _, _ = sent(value, items)
    assert np.array_equal(got, value) and got.dtype == value.dtype and got.shape == value.shape
    assert got.flags.writeable == value.flags.writeable or name == "repeated" or name == "windows"
    if name in ("repeated", "windows") or (name == "part of fortran" and not items):
        return  # these are copied; such a result stays where it was made
    assert side_by_side(got) == side_by_side(value)
    assert (got.flags.c_contiguous, got.flags.f_contiguous) == (
        value.flags.c_contiguous,
        value.flags.f_contiguous,
    )


def side_by_side(value: np.ndarray) -> list[Any]:
    """What sums and BLAS go by: the order of axes, their directions, and whether there are gaps."""
    steps = [abs(step) for step in value.strides]
    order = sorted(range(value.ndim), key=lambda axis: (-steps[axis], axis))
    return [order, np.sign(value.strides).tolist(), min(steps) == value.itemsize]


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_part_of_an_array_is_sent_with_gaps_where_it_has_gaps(data: st.DataObject) -> None:
    shape = data.draw(st.lists(st.integers(1, 6), min_size=1, max_size=4))
    whole = np.arange(float(np.prod(shape))).reshape(shape)
    slices = [data.draw(st.slices(size)) for size in shape]
    part = whole[tuple(slices)].transpose(data.draw(st.permutations(range(len(shape)))))
    got, body, _ = sent(part, items=True)
    assert np.array_equal(got, part) and got.flags.writeable
    if part.size > 1 and 1 not in part.shape:
        assert side_by_side(got) == side_by_side(part)


def test_of_an_item_only_the_part_is_sent() -> None:
    whole = np.zeros((1000, 1000))
    for part in (whole[:, 3], whole[10:20], whole[:, 5:8]):
        body, big = encode(part, items=True)
        assert len(body) + sum(map(size_of, big)) <= 2 * part.nbytes + 1000


def test_tables_of_pandas_go_beside_the_pickle() -> None:
    pd = pytest.importorskip("pandas")
    table = pd.DataFrame(
        {
            "a": np.arange(N),
            "b": np.arange(N) / 2,
            "c": pd.date_range("2020-01-01", periods=N, freq="min"),
            "d": pd.Categorical(["x", "y"] * (N // 2)),
            "e": np.arange(N) % 7 == 0,
        }
    )
    got, body, beside = sent({"t": table, "column": table["b"]})
    pd.testing.assert_frame_equal(got["t"], table)
    assert body < 20_000 and beside > 3 * 8 * N
    got["t"].loc[3, "a"] = -1
    got["t"]["b"] += 1
    assert got["t"].loc[3, "a"] == -1 and table.loc[3, "a"] == 3
    assert [v.flags.f_contiguous for v in (got["t"][["a"]].values, table[["a"]].values)] == [
        True
    ] * 2


def test_tables_of_arrow_go_beside_the_pickle() -> None:
    pa = pytest.importorskip("pyarrow")
    table = pa.table({"a": np.arange(N), "b": [str(k) for k in range(N)]})
    for value in (table, table.to_batches()[0], table["a"]):
        got, body, beside = sent(value)
        assert got.equals(value)
        assert body < 5_000 and beside >= 8 * N
    pd = pytest.importorskip("pandas")
    strings = pd.DataFrame({"s": pd.array([str(k) for k in range(N)], dtype="string[pyarrow]")})
    got, body, beside = sent(strings)
    pd.testing.assert_frame_equal(got, strings)
    assert body < 5_000 and beside > 4 * N


def test_tables_of_polars() -> None:
    """In a process of its own: with Polars in it, it could not be forked for the tests to come."""
    if find_spec("polars") is None:
        pytest.skip("polars is not installed")
    program = "from tests.test_packing import send_table_of_polars as send; send()"
    root = Path(__file__).parents[1]
    subprocess.run([sys.executable, "-c", program], cwd=root, check=True, timeout=60)


def send_table_of_polars() -> None:
    import polars as pl

    table = pl.DataFrame({"a": np.arange(N), "b": [str(k) for k in range(N)]})
    got, body, beside = sent([table])
    assert got[0].equals(table)
    assert body < 5_000 and beside >= 8 * N


def test_sparse_matrices_go_beside_the_pickle() -> None:
    sparse = pytest.importorskip("scipy.sparse")
    matrix = sparse.eye(N, format="csr")
    got, body, beside = sent(matrix)
    assert (got != matrix).nnz == 0 and got.data.flags.writeable
    assert body < 5_000 and beside >= 16 * N


def test_tensors_of_torch_go_beside_the_pickle() -> None:
    torch = pytest.importorskip("torch")
    for value in (
        torch.arange(N, dtype=torch.float32),
        torch.arange(N).reshape(100, -1).t()[3:50],
        torch.ones(N, dtype=torch.bfloat16),
        torch.ones(N, requires_grad=True),
        torch.nn.Parameter(torch.ones(N)),
    ):
        got, body, beside = sent([value])
        assert torch.equal(got[0], value) and got[0].stride() == value.stride()
        assert (got[0].dtype, got[0].requires_grad) == (value.dtype, value.requires_grad)
        assert type(got[0]) is type(value) and body < 5_000 and beside >= 2 * N
        got[0].detach()[0] = 7


def test_records_hold_all_that_was_beside() -> None:
    value = [np.arange(N), "x" * LONG, array("d", range(N))]
    got, *_ = sent(value)
    again = pickle.loads(packing.whole(got))
    assert np.array_equal(again[0], value[0]) and again[1:] == value[1:]
