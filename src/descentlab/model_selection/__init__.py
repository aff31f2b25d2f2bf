"""Held-out cost by the number of updates, and cross-validation over rates and ridges, from factors alone."""

from descentlab.model_selection.cross_validation import CrossValidation
from descentlab.model_selection.splitting import split
from descentlab.model_selection.validation import Validation, validate

__all__ = ["CrossValidation", "Validation", "split", "validate"]
