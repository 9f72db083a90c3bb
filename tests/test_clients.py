"""Programs that take somebody's pool: the same numbers as serially."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from allcores import Executor, Pool
from sessions import run

warnings.filterwarnings("ignore", category=DeprecationWarning)


def rosenbrock(x: np.ndarray) -> float:
    return float(np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2))


def gaussian(x: np.ndarray) -> float:
    return float(-0.5 * np.sum(x * x))


def unit(u: np.ndarray) -> np.ndarray:
    return 10 * u - 5


def test_scipy_differential_evolution() -> None:
    optimize = pytest.importorskip("scipy.optimize")

    def found(workers: Any) -> Any:
        return optimize.differential_evolution(
            rosenbrock,
            [(-2, 2)] * 3,
            workers=workers,
            updating="deferred",
            rng=1,
            maxiter=15,
            polish=False,
        )

    expected = found(map)
    with Pool(2) as pool:
        result = found(pool.map)
        again = found(pool.imap)
    with Executor(2) as executor:
        other = found(executor.map)
    for each in (result, again, other):
        assert np.array_equal(each.x, expected.x)
        assert each.fun == expected.fun
        assert each.nfev == expected.nfev


def test_emcee() -> None:
    emcee = pytest.importorskip("emcee")

    def chain(pool: Any) -> Any:
        np.random.seed(3)
        start = np.random.randn(16, 3)
        sampler = emcee.EnsembleSampler(16, 3, gaussian, pool=pool)
        sampler.run_mcmc(start, 30)
        return sampler.get_chain()

    expected = chain(None)
    with Pool(2) as pool:
        assert np.array_equal(chain(pool), expected)
    with Executor(2) as executor:
        assert np.array_equal(chain(executor), expected)


def test_dynesty() -> None:
    dynesty = pytest.importorskip("dynesty")

    def evidence(**how: Any) -> Any:
        sampler = dynesty.NestedSampler(
            gaussian, unit, 2, nlive=60, rstate=np.random.default_rng(5), **how
        )
        sampler.run_nested(dlogz=1.0, print_progress=False)
        return sampler.results

    # dynesty asks for points ahead by the queue's size, with or without a pool.
    expected = evidence(queue_size=2, pool=Serially())
    with Pool(2) as pool:
        results = evidence(pool=pool, queue_size=2)
    assert np.array_equal(results.samples, expected.samples)
    assert results.logz[-1] == expected.logz[-1]


class Serially:
    """A pool that is none."""

    size = 2

    def map(self, function: Any, items: Any) -> list[Any]:
        return [function(item) for item in items]


SKLEARN = """
    import warnings
    warnings.simplefilter("error", UserWarning)
    import joblib, numpy as np
    {registered}
    from sklearn.datasets import make_classification
    from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV, cross_val_score

    X, y = make_classification(200, random_state=0)
    forest = RandomForestClassifier(12, random_state=0)

    def numbers(n_jobs):
        grid = GridSearchCV(LogisticRegression(), {{"C": [0.1, 1.0, 10.0]}}, n_jobs=n_jobs)
        grid.fit(X, y)
        return [
            *cross_val_score(forest, X, y, n_jobs=n_jobs),
            *grid.cv_results_["mean_test_score"],
            *RandomForestClassifier(12, random_state=0, n_jobs=n_jobs).fit(X, y).predict_proba(X)[:, 0],
        ]

    if __name__ == "__main__":
        expected = numbers(1)
        with joblib.parallel_config(backend="allcores"):
            found = numbers(2)
            pids = set(joblib.Parallel(n_jobs=2)(
                joblib.delayed(lambda k: (sum(range(10**6)), __import__("os").getpid())[1])(k)
                for k in range(8)
            ))
        print(np.array_equal(expected, found), __import__("os").getpid() not in pids)
    """


@pytest.mark.parametrize(
    "registered", ["import allcores.on.joblib", "from allcores import parallel"]
)
def test_scikit_learn_through_joblib(tmp_path: Path, registered: str) -> None:
    pytest.importorskip("sklearn")
    outcome = run(tmp_path, SKLEARN.format(registered=registered))
    assert outcome == (0, "True True\n", "")


JOBLIB = """
    import os, threading, joblib
    from joblib import Parallel, delayed
    import allcores.on.joblib

    def fails(k):
        if k == 5:
            raise LookupError(k)
        return k

    def outer(k):
        return sum(Parallel(n_jobs=2)(delayed(abs)(-i) for i in range(k)))

    with joblib.parallel_config(backend="allcores", n_jobs=2):
        print(Parallel()(delayed(abs)(-k) for k in range(100)) == list(range(100)))
        print(Parallel()(delayed(lambda x: x + 1)(k) for k in range(3)))
        print(list(Parallel(return_as="generator")(delayed(abs)(-k) for k in range(5))))
        print(sorted(Parallel(return_as="generator_unordered")(delayed(abs)(-k) for k in range(5))))
        print(Parallel()(delayed(outer)(k) for k in range(5)))
        try:
            Parallel()(delayed(fails)(k) for k in range(9))
        except LookupError as error:
            print(repr(error))
        try:
            Parallel()(delayed(os._exit)(k) for k in range(9))
        except allcores.WorkerDied as error:
            print("died")
        with Parallel() as parallel:
            print([parallel(delayed(abs)(-k) for k in range(3)) for _ in range(3)])
        print(Parallel(n_jobs=1)([delayed(abs)(-1)]), Parallel()([]))
    """


def test_joblib_sees_what_is_defined_later(tmp_path: Path) -> None:
    pytest.importorskip("joblib")
    outcome = run(
        tmp_path,
        """
        from joblib import Parallel, delayed, parallel_config
        import allcores.on.joblib

        factor = 2

        def f(x):
            return x * factor

        def apply(function, x):
            return function(x)

        with parallel_config(backend="allcores", n_jobs=2):
            print(Parallel()(delayed(f)(k) for k in range(3)))
            factor = 5
            print(Parallel()(delayed(apply)(f, k) for k in range(3)))

            def f(x):
                return -x

            print(Parallel()(delayed(f)(k) for k in range(3)))
            print(Parallel()(delayed(lambda x: x + factor)(k) for k in range(3)))
        """,
    )
    assert outcome == (0, "[0, 2, 4]\n[0, 5, 10]\n[0, -1, -2]\n[5, 6, 7]\n", "")


def test_joblib(tmp_path: Path) -> None:
    pytest.importorskip("joblib")
    outcome = run(tmp_path, JOBLIB)
    assert outcome.err == ""
    assert outcome.out.splitlines() == [
        "True",
        "[1, 2, 3]",
        "[0, 1, 2, 3, 4]",
        "[0, 1, 2, 3, 4]",
        "[0, 0, 1, 3, 6]",
        "LookupError(5)",
        "died",
        "[[0, 1, 2], [0, 1, 2], [0, 1, 2]]",
        "[1] []",
    ]
