"""Monte Carlo price of an Asian call option: the right to the average price of a year, less a fee.

Uses `parallel`, the one-word change: the only difference from the plain program is the import and
the word in the loop. Each batch makes its own random generator from the seed and its number, so
that the price is the same to the last digit on any number of cores, and as the plain loop's.

    python examples/option_price.py [PATHS_IN_THOUSANDS]
"""

import sys

import numpy as np

from allcores import parallel

batches = int(sys.argv[1]) if len(sys.argv) > 1 else 400
batch_size = 1000

spot, strike = 100.0, 105.0
rate, volatility = 0.03, 0.25
days = 252
seed = 20_240_101

drift = (rate - 0.5 * volatility**2) / days
spread = volatility / np.sqrt(days)
discount = np.exp(-rate)

means = []
highest = 0.0
for batch in parallel(range(batches)):
    rng = np.random.default_rng(seed + batch)
    steps = drift + spread * rng.standard_normal((batch_size, days))
    prices = spot * np.exp(np.cumsum(steps, axis=1))
    payoffs = discount * np.maximum(prices.mean(axis=1) - strike, 0.0)
    means.append(payoffs.mean())
    highest = max(highest, payoffs.max())

price = np.mean(means)
error = np.std(means, ddof=1) / np.sqrt(batches)
print(f"{batches * batch_size:,} paths: {price:.4f} +- {error:.4f}, highest payoff {highest:.2f}")
