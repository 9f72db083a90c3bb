"""The same work through other libraries, each used as its own documentation advises."""
