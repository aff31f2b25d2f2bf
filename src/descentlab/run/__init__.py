"""The one loop, its history, and why it ended."""
