"""The period of a variable star, by phase dispersion minimisation (Stellingwerf 1978).

The light curve is folded with each trial period; where the points of each part of the cycle
scatter least, there is the star's period. A plain loop that keeps the best period so far, nothing
imported: `allcores run examples/period_search.py [TRIALS]` folds on all cores.
"""

import sys

import numpy as np

trials = int(sys.argv[1]) if len(sys.argv) > 1 else 80_000

# Ten years of observing: unevenly spaced nights, a pulsating star, noise.
rng = np.random.default_rng(7)
days = np.sort(rng.uniform(0.0, 3650.0, 1500))
true_period = 0.5668
cycle = 2 * np.pi * days / true_period
magnitude = 12.0 + 0.4 * np.sin(cycle) + 0.15 * np.sin(2 * cycle + 0.7)
magnitude += rng.normal(0.0, 0.05, days.size)

bins = 20
total_variance = magnitude.var(ddof=1)
periods = 1.0 / np.linspace(1 / 0.7, 1 / 0.5, trials)

dispersion = np.empty(trials)
best, best_period = np.inf, None
for k, period in enumerate(periods):
    part = (days / period % 1.0 * bins).astype(int)
    count = np.bincount(part, minlength=bins)
    mean = np.bincount(part, magnitude, minlength=bins) / np.maximum(count, 1)
    squares = np.bincount(part, (magnitude - mean[part]) ** 2, minlength=bins)
    theta = squares.sum() / (days.size - np.count_nonzero(count)) / total_variance
    dispersion[k] = theta
    if theta < best:
        best, best_period = theta, period

print(f"{trials} trial periods: best {best_period:.6f} days, dispersion {best:.4f}")
print(f"the star's own period: {true_period} days")
print(f"median dispersion {np.median(dispersion):.4f}")
