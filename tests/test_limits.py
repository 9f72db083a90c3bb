"""The stated limits of the promise (docs/promise.md): each behaves as the page says."""

from __future__ import annotations

import logging
import os
import re
import subprocess
import sys
import textwrap
import time
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from allcores import ParallelWarning, RandomStreamWarning, parallel, sites
from allcores.engine.packing import memory
from tests.same import difference, forced, run


def drawn_in_a_loop(**how: Any) -> list[float]:
    rng = np.random.default_rng(1)
    drawn: list[float] = []
    with forced():
        for i in parallel(range(4), **how):
            drawn.append(abs(i - 10) * rng.normal())
    return drawn


def test_a_loop_that_draws_gives_other_numbers_than_the_plain_loop_and_says_so() -> None:
    in_order = np.random.default_rng(1).normal(size=4)
    plain = [abs(i - 10) * x for i, x in zip(range(4), in_order)]
    with pytest.warns(RandomStreamWarning, match="line .*`rng.normal` draws from `rng`"):
        drawn = drawn_in_a_loop()
    assert drawn != plain
    assert drawn_in_a_loop(on="serial") == drawn_in_a_loop(workers=5) == drawn
    with pytest.warns(ParallelWarning, match="runs serially: .*`rng.normal`"):
        assert drawn_in_a_loop(random="plain") == plain


def test_a_generator_made_in_the_loop_gives_the_plain_loops_numbers() -> None:
    own: list[float] = []
    with forced():
        for i in parallel(range(4)):
            mine = np.random.default_rng(7 + i)
            own.append(mine.normal())
    assert own == [np.random.default_rng(7 + i).normal() for i in range(4)]


def write_file(path: Path, text: str) -> str:
    path.write_text(text)
    return text


def test_files_of_called_functions_are_written(tmp_path: Path) -> None:
    written: list[str] = []
    with forced():
        for i in parallel(range(6)):
            written.append(write_file(tmp_path / str(i), str(i * i)))
    assert [(tmp_path / str(i)).read_text() for i in range(6)] == written


def test_an_iteration_that_raises_has_removed_its_file_already(tmp_path: Path) -> None:
    for i in range(6):
        (tmp_path / str(i)).write_text(str(3 - i))
    out: list[float] = []
    with forced(), pytest.raises(FileNotFoundError) as raised:
        for i in parallel(range(6)):
            path = os.path.join(tmp_path, str(i))
            r = int(open(path).read())
            os.remove(path)
            out.append(1 / r)
    assert raised.value.filename == str(tmp_path / "3")
    assert out == [1 / 3, 1 / 2, 1]


def test_what_is_made_in_a_worker_comes_home_as_a_copy() -> None:
    made: list[tuple[int, list[int]]] = []
    with forced():
        for i in parallel(range(3)):
            a = [i * 2]
            made.append((id(a) * 1, a))
    assert [a for _, a in made] == [[0], [2], [4]]


def test_big_arrays_that_come_home_cannot_be_resized_in_place(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # As in a file that says nothing of all this.
    monkeypatch.setattr(memory, "counts", False)
    monkeypatch.setattr(sites, "_without", {__file__})
    made: list[Any] = []
    with forced():
        for i in parallel(range(3)):
            a = np.full(100_000, i * 2.0)
            made.append(a)
    made[1] += 1
    assert made[1][-1] == 3 and made[1].base is not None
    with pytest.raises(ValueError, match="own"):
        made[1].resize(200_000, refcheck=False)


def test_process_ids_are_the_workers() -> None:
    pids: set[int] = set()
    with forced():
        for i in parallel(range(4)):
            pids.add(os.getpid() + 0 * i)
    assert os.getpid() not in pids


calls: list[int] = []


@lru_cache
def remembered(x: int) -> int:
    return x * x


def test_caches_filled_by_work_stay_in_the_worker() -> None:
    remembered.cache_clear()
    out: list[int] = []
    with forced():
        for i in parallel(range(4)):
            out.append(remembered(i))
    assert out == [0, 1, 4, 9]
    assert remembered.cache_info().currsize == 0


def test_what_a_cached_property_keeps_stays_in_the_worker() -> None:
    outcome = run(CACHED_PROPERTY, False)
    assert outcome.in_workers == 9
    assert outcome.names["global out"] == [50 * x for x in range(9)]
    assert "size" not in vars(outcome.names["global table"])
    # What else it changes counts.
    counted = CACHED_PROPERTY.replace("return", "made.append(1); return")
    assert difference(run(counted, True), run(counted, False)) is None


CACHED_PROPERTY = """import functools
class Table:
    @functools.cached_property
    def size(self): return len(range(50))
table, out, made = Table(), [], []
for x in parallel(range(9)):
    out.append(table.size * x)
"""


def test_timings_are_taken_in_the_worker() -> None:
    times: list[float] = []
    with forced():
        for i in parallel(range(3)):
            start = time.perf_counter()
            sum(range(100 * i))
            times.append(time.perf_counter() - start)
    assert all(t >= 0 for t in times)


@pytest.mark.parametrize("on", ["fork", "fresh", "threads"])
def test_workers_share_the_cores_among_their_thread_pools(on: str) -> None:
    pytest.importorskip("sklearn.cluster")  # whose OpenMP keeps a number for each thread
    from threadpoolctl import threadpool_info

    pools: list[Any] = []
    with forced(ON=on):
        for i in parallel(range(2), workers=64):
            pools.append((i * 1, [p["num_threads"] for p in threadpool_info()]))
    assert all(n == 1 for _, counts in pools for n in counts)


def shout(path: Path, i: int) -> int:
    with path.open("a") as f:
        f.write(f"{i}\n")
    if i == 3:
        raise ValueError(i)
    return i


def test_an_iteration_that_raises_is_done_twice(tmp_path: Path) -> None:
    path = tmp_path / "log"
    out: list[int] = []
    with forced(), pytest.raises(ValueError, match="3"):
        for i in parallel(range(4), workers=1, chunk=1):
            out.append(shout(path, i))
    assert out == [0, 1, 2]
    assert path.read_text().splitlines().count("3") == 2


def test_records_have_the_time_at_which_they_were_made(caplog: pytest.LogCaptureFixture) -> None:
    log = logging.getLogger("limits")

    def work(x: int) -> float:
        log.warning("at %s", x)
        return time.time()

    made = []
    with forced():
        for x in parallel(range(20)):
            made.append(work(x))
    assert [r.getMessage() for r in caplog.records] == [f"at {x}" for x in range(20)]
    assert all(abs(r.created - t) < 0.5 for r, t in zip(caplog.records, made, strict=True))


def test_the_page_names_tests_that_are_there() -> None:
    root = Path(__file__).parent.parent
    page = (root / "docs" / "promise.md").read_text()
    named = re.findall(r"`(tests/\w+\.py)(?:::(\w+))?`", page)
    assert len(named) > 20
    for file, test in named:
        assert f"def {test}" in (root / file).read_text(), (file, test)


def test_sets_of_numbers_keep_their_order_and_sets_of_texts_their_members(tmp_path: Path) -> None:
    program = """
        import sys
        import allcores

        def some(make, k):
            found = {make(7)}
            found.update(map(make, (k * 8 + 7, k + 40, 15, *range(k))))
            found.discard(make(k + 40))
            return found

        for make in (int, str):
            plain = [some(make, k) for k in range(1, 60)]
            looped = []
            for k in allcores.parallel(range(1, 60)):
                looped.append(some(make, k))
            mapped = allcores.map(lambda k: some(make, k), range(1, 60))
            assert looped == mapped == plain
            if make is int or "kept" in sys.argv:
                assert [*map(list, looped)] == [*map(list, mapped)] == [*map(list, plain)]
        """
    path = tmp_path / "program.py"
    path.write_text(textwrap.dedent(program))
    for seed, words in (("random", []), ("3", ["kept"])):
        variables = {"PYTHONHASHSEED": seed, "ALLCORES_FORCE": "1", "ALLCORES_WORKERS": "2"}
        done = subprocess.run(
            [sys.executable, "-W", "ignore", str(path), *words],
            env={**os.environ, **variables},
            capture_output=True,
            text=True,
        )
        assert (done.returncode, done.stderr) == (0, "")


def test_sets_of_texts_are_sent_from_workers() -> None:
    sets, pids = [], []
    with forced(WORKERS="2"):
        # Clean interpreters hash texts in another way, and so such a loop has none.
        for k in parallel(range(12), on="fork"):
            sets.append({f"word {k * j}" for j in range(200)})
            pids.append(os.getpid())
    assert sets == [{f"word {k * j}" for j in range(200)} for k in range(12)]
    assert os.getpid() not in pids
