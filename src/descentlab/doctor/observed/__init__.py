"""What was observed, held against theory: agreement, or the mistake that reproduces it."""
