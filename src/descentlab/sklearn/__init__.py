"""scikit-learn estimators for linear regression by gradient descent: exact, in one pass, with errors that explain."""

from descentlab.dependencies import require

require("sklearn", "scikit-learn", "sklearn", "estimators")

from descentlab.sklearn.history import FitHistory  # noqa: E402
from descentlab.sklearn.regressor import DescentRegressor  # noqa: E402
from descentlab.sklearn.regressor_cv import DescentRegressorCV  # noqa: E402

__all__ = ["DescentRegressor", "DescentRegressorCV", "FitHistory"]
