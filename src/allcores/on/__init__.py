"""Other libraries that run on these workers, and other places where loops may run."""
