"""A loop's work in a clean interpreter: the same as here, or the loop runs serially and says why."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import allcores

HERE = Path(__file__).parent / "shipped"
ORDER = "may depend on its order, which is another one in a clean interpreter"
SERIAL = {
    "weak_references": "`ref` is an object of type ReferenceType, which cannot be sent",
    "a_lock_that_nobody_holds": "`lock` is no lock, or somebody holds it",
    "a_generator": "`given` is a generator, which workers cannot share",
    "text_in_memory": "`text` is a file in memory, which workers cannot share",
    "by_computed_name": "`exec`, used at cases.py:",
    "globals_as_such": "calls `globals(·)`, which looks at every variable at once",
    "identity_as_a_number": "`id`, used at cases.py:",
    "hash_of_a_text": "`hash`, used at cases.py:",
    "list_of_a_library": "`urllib.parse.uses_netloc` is not what a clean interpreter finds there",
    "dispatched": "`shown` is not what a clean interpreter finds there",
    "memo_of_an_object_in_a_module": "`the_kind` keeps for later what it has given",
    "memo_of_an_object": "kind` keeps for later what it has given",
    "order_of_a_set": ORDER,
    "order_of_a_set_of_its_own": ORDER,
    "order_of_a_nested_set": "is a set, and in another order in a clean interpreter",
    "order_of_a_set_in_items": "holds a set",
    "attribute_gone_through": ORDER,
    "local_set_gone_through": ORDER,
}
"""Cases that run serially, and what is said."""
NATIVELY = {
    "exceptions",
    "handlers_of_errors",
    "long_numbers",
    "recursion_limit",
    "registered_codecs",
}
"""Cases of which some iterations raise in a worker and are done here."""


def cases(file: str) -> list[str]:
    text = (HERE / file).read_text()
    blocks = text.split("@case\ndef ")[1:]
    return [block.partition("(")[0] for block in blocks]


def fresh(script: str) -> str:
    """What a script says whose loops have clean interpreters."""
    environment = {n: v for n, v in os.environ.items() if n != "PYTHONHASHSEED"}
    environment["PYTHONPATH"] = str(Path(allcores.__file__).parents[1])
    variables = {"ALLCORES_ON": "fresh", "ALLCORES_FORCE": "1", "ALLCORES_WORKERS": "2"}
    ran = subprocess.run(
        [sys.executable, script],
        cwd=HERE,
        env={**environment, **variables, "ALLCORES_DEBUG": "1"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


@pytest.fixture(scope="module")
def outcomes() -> dict[str, str]:
    """What each case came to, all in one process."""
    lines = fresh("cases.py").splitlines()
    return dict(line.partition(" ")[::2] for line in lines)


@pytest.mark.parametrize("case", cases("cases.py"))
def test_the_same_in_a_clean_interpreter(case: str, outcomes: dict[str, str]) -> None:
    outcome = outcomes[case]
    if case in SERIAL:
        assert outcome.startswith("same serial (0)") and SERIAL[case] in outcome
    elif case in NATIVELY:
        assert outcome.startswith("same ")
    else:
        assert outcome.strip() == "same workers"


@pytest.fixture(scope="module")
def with_libraries() -> dict[str, str]:
    lines = fresh("libraries.py").splitlines()
    return dict(line.partition(" ")[::2] for line in lines)


@pytest.mark.parametrize("case", cases("libraries.py"))
def test_the_same_with_libraries(case: str, with_libraries: dict[str, str]) -> None:
    assert with_libraries[case].strip() == "same workers"


def test_results_and_exceptions_of_local_classes() -> None:
    assert fresh("maps.py").splitlines() == [
        *["True {True}"] * 2,
        *["True (0,) 2", "True (0,) 3"],
        *["[True, True, True] [0, 2, 4]"],
        *["True"] * 3,
    ]
