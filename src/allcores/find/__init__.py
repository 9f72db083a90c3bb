"""Which of a program's loops are worth making parallel: they are measured, and ranked."""
