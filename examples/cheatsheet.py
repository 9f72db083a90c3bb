"""The example of the recipe that everyone follows by hand: find the loop, find what changes in it.

A plain loop, nothing imported. Look at how it would run, then run it:

    allcores explain examples/cheatsheet.py
    allcores run examples/cheatsheet.py [HOW_MANY]

In your own program the change is one word: `for a, b in parallel(zip(avalues, bvalues)):`.
"""

import sys

size = int(sys.argv[1]) if len(sys.argv) > 1 else 10

avalues = list(range(size))
bvalues = [10 * a for a in avalues]
const = 3

results = []
for a, b in zip(avalues, bvalues):
    results.append((a + b) * const)

print(results)
