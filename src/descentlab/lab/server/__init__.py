"""The local server of the lab."""
