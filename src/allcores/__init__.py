"""Parallel loops."""
