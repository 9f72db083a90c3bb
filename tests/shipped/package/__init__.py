"""A package, which does not import what is in it."""

registered = {}
