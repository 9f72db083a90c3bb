"""Where a program's time goes, loop by loop, and what parallel loops would save of it."""
