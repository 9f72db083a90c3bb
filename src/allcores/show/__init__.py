"""What people see: Plans laid out for a terminal or a tool, and the summary after a run."""
