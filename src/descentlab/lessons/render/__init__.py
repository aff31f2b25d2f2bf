"""A lesson as terminal text, page and notebook."""
