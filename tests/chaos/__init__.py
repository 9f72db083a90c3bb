"""Real loops under every fault we can make: `python -m tests.chaos.run RUNS [SEED]`."""
