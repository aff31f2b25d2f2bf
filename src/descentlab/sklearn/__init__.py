"""Linear regression by descent as scikit-learn's estimators: exact, in one pass, and never silent when it fails."""

from descentlab.dependencies import require

require("sklearn", "scikit-learn", "sklearn", "estimators")

from descentlab.sklearn.history import FitHistory  # noqa: E402
from descentlab.sklearn.regressor import DescentRegressor  # noqa: E402
from descentlab.sklearn.regressor_cv import DescentRegressorCV  # noqa: E402 (its absence is said first)

__all__ = ["DescentRegressor", "DescentRegressorCV", "FitHistory"]
