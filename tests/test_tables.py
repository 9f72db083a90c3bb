"""Tables, and arrays of objects, that work makes: they come home where a copy is as good."""

from __future__ import annotations

import pytest

from tests.same import assert_same

pytest.importorskip("pandas")

PARALLEL = {
    "files that are read and cleaned": """
import io, pandas as pd
out = {}
for i in parallel(range(6)):
    df = pd.read_csv(io.StringIO(f"name,v\\na,1\\nb,\\nc,{i}\\n"))
    df = df.dropna().rename(columns={"v": "w"})
    df["z"] = df["w"].astype(float) * 2
    df = df[df.z > 1].reset_index(drop=True)
    out[i] = df
total = pd.concat(out)
""",
    "groups of a table": """
import pandas as pd
df = pd.DataFrame({"k": [0, 1, 2, 3] * 5, "v": list(range(20))})
out = {}
for k, g in parallel(df.groupby("k")):
    g = g.assign(w=g.v * 2)
    out[k] = int(g.w.sum())
""",
    "times and categories": """
import pandas as pd
out = []
for i in parallel(range(6)):
    days = pd.date_range("2024-01-01", periods=3)
    d = pd.DataFrame({"c": pd.Categorical(["a", "b", "a"]), "t": days}).set_index("t")
    out.append((d, d.describe()))
""",
    "what a column holds is changed later": """
import pandas as pd
out = []
for i in parallel(range(6)):
    held = [i]
    out.append(pd.DataFrame({"o": [held, held, {"a": held}], "t": ["x", None, "z"]}))
for df in out:
    df["o"][0].append(5)
""",
    "labels of the table that it is taken from": """
import pandas as pd
df = pd.DataFrame({"a": range(8), "b": range(8)})
out = []
for i in parallel(range(6)):
    part = df[df.a > i]
    out.append(part)
for k, part in enumerate(out):
    part.columns.name = f"c{k}"
    part.loc[7, "a"] = -1
left = df.columns.name
""",
    "an array of objects": """
import numpy as np
out = []
for i in parallel(range(6)):
    a = np.empty(3, object)
    a[0] = [i]
    a[1] = a[0]
    a[2] = np.arange(i)
    out.append(a)
for a in out:
    a[0].append(7)
""",
}
SERIAL = {
    "tables that share memory until one of them is written to": """
import pandas as pd
out = []
for i in parallel(range(6)):
    a = pd.DataFrame({"x": [i, 2, 3], "y": [1.0, 2, i]})
    out.append((a, a[:], a["x"]))
for a, b, c in out:
    a.loc[0, "x"] = 99
    b.loc[1, "x"] = 77
    c.iloc[2] = 55
""",
    "an array that holds what outlives the loop": """
import numpy as np
shared = [1]
out = []
for i in parallel(range(6)):
    a = np.empty(2, object)
    a[0] = shared
    a[1] = i
    out.append(a)
out[3][0].append(5)
""",
}


@pytest.mark.parametrize("name", PARALLEL)
def test_tables_that_come_home(name: str) -> None:
    assert_same(PARALLEL[name], "parallel", places=("module",), at_least=2)


@pytest.mark.parametrize("name", SERIAL)
def test_tables_of_which_a_copy_would_not_do(name: str) -> None:
    """Every iteration is done natively, and a warning says why, however few there are."""
    assert_same(SERIAL[name], "serial", places=("module",))
