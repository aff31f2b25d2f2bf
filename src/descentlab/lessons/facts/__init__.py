"""The numbers of each lesson, computed by the engines and named in the prose."""
