"""What a command writes to a terminal, and the exit code it ends with."""
