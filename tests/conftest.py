"""Settings shared by all tests."""

from __future__ import annotations

import os

# What the person at the keyboard has set for their own loops is not for the tests' loops.
for _name in ("WORKERS", "ON", "STRICT", "FORCE"):
    os.environ.pop(f"ALLCORES_{_name}", None)
