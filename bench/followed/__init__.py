"""Programs with one loop each, for `following.py`: ordinary code, of which the loop calls much."""
