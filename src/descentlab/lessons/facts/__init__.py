"""What each lesson says in numbers: computed here by the engines, named in the prose."""
