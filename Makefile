# `make demo` and `make test` are the two to start with. Each sets up all it needs.
.POSIX:
.PHONY: help demo test ways slow fuzz chaos soak corpus bench clean

N = 100000
RUNS = 500
WAYS = fork fresh threads
PACKAGES =

help:
	@echo "make demo    install in .venv, explain and run examples/cheatsheet.py"
	@echo "make test    lint, types, and the tests on every Python from 3.11 to 3.13 found here"
	@echo "make ways    the tests, and some random loops, with each way of making workers: make ways WAYS=threads"
	@echo "make slow    the tests that take minutes"
	@echo "make fuzz    N random loops ($(N)), each compared with the plain loop: make fuzz N=5000"
	@echo "make chaos   RUNS loops ($(RUNS)) under kills, Ctrl-C, full disks and other faults: make chaos RUNS=50"
	@echo "make soak    10,000,000 iterations and 10,000 loops in one process, which must not grow"
	@echo "make corpus  other projects' own tests with their loops in workers: make corpus PACKAGES=\"toolz mpmath\""
	@echo "make bench   the table of the README, measured on this machine"
	@echo "make clean   remove what the others made"

demo:
	@venv=$$(sh .ci/venv "") && \
	printf '\n== The loop, and how it would run: allcores explain examples/cheatsheet.py\n' && \
	"$$venv/bin/allcores" explain examples/cheatsheet.py && \
	printf '\n== The result: allcores run examples/cheatsheet.py\n' && \
	"$$venv/bin/allcores" run examples/cheatsheet.py

test:
	@sh .ci/test

ways:
	@venv=$$(sh .ci/venv dev) && for way in $(WAYS); do \
		echo "== $$way" && export ALLCORES_ON=$$way && sh .ci/share "$$venv/bin/python" && \
		"$$venv/bin/python" -m tests.fuzz.run 2000 0 2 || exit 1; \
	done

slow:
	@venv=$$(sh .ci/venv dev) && "$$venv/bin/python" -m pytest -q -m slow

fuzz:
	@venv=$$(sh .ci/venv dev) && "$$venv/bin/python" -m tests.fuzz.run $(N)

chaos:
	@venv=$$(sh .ci/venv dev) && "$$venv/bin/python" -m tests.chaos.run $(RUNS)

soak:
	@venv=$$(sh .ci/venv dev) && "$$venv/bin/python" -m tests.soak

corpus:
	@venv=$$(sh .ci/venv dev) && "$$venv/bin/python" -m tests.corpus.run $(PACKAGES)

bench:
	@venv=$$(sh .ci/venv bench) && "$$venv/bin/python" bench/run.py

clean:
	rm -rf .venv .venv-3.* .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist examples/out
	find src tests bench examples -name __pycache__ -type d -exec rm -rf {} +
