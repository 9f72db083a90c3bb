"""Running a job's iterations in workers and giving the results back in order.

Knows nothing of source code: what an iteration does is a `Job`, what it is done to a source.
Its modules are imported when workers are first brought in.
"""
