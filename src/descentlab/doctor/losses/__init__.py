"""Printed losses, without data: what they tell of the rate."""
