"""CSV files: their dialect, their rows, and what to say about a malformed one."""
