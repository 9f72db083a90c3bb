"""A bootstrap confidence interval for a correlation: how sure can one be with 400 patients?

Uses `parallel`, the one-word change, in a function. Each resampling makes its own random generator
from the seed and its number, so that the interval is the plain loop's on any number of cores.

    python examples/bootstrap.py [RESAMPLINGS]
"""

import sys

import numpy as np

from allcores import parallel


def measurements():
    """Dose and response of made-up patients."""
    rng = np.random.default_rng(1)
    dose = rng.gamma(4.0, 2.0, 400)
    response = 3.0 * np.log1p(dose) + rng.normal(0.0, 1.5, dose.size)
    return dose, response


def rank(values):
    """Ranks from 0, those of equal values averaged."""
    _unique, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts + 1) / 2.0)[inverse]


def spearman(x, y):
    """Rank correlation."""
    return np.corrcoef(rank(x), rank(y))[0, 1]


def bootstrap(x, y, resamplings, seed=2024):
    """The statistic of as many resampled data sets."""
    found = []
    for i in parallel(range(resamplings)):
        rng = np.random.default_rng(seed + i)
        chosen = rng.integers(0, x.size, x.size)
        found.append(spearman(x[chosen], y[chosen]))
    return np.array(found)


if __name__ == "__main__":
    resamplings = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    dose, response = measurements()
    found = bootstrap(dose, response, resamplings)
    low, high = np.quantile(found, [0.025, 0.975])
    print(f"rank correlation {spearman(dose, response):.4f}")
    print(f"95 % interval from {resamplings} resamplings: {low:.4f} to {high:.4f}")
