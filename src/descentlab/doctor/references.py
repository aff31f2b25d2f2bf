"""Where the theorems behind the findings are proved."""

BELSLEY_REFERENCE = "D. A. Belsley, E. Kuh, R. E. Welsch, Regression Diagnostics (1980), chapter 3"
BOTTOU_REFERENCE = (
    "L. Bottou, F. E. Curtis, J. Nocedal, Optimization Methods for Large-Scale Machine Learning (2018), theorem 4.6"
)
IEEE754_REFERENCE = "IEEE 754: the largest float32 is about 3.4e38, the largest float64 about 1.8e308"
POLYAK_REFERENCE = "B. T. Polyak, Some methods of speeding up the convergence of iteration methods (1964)"
SAAD_REFERENCE = "Y. Saad, Iterative Methods for Sparse Linear Systems (2nd ed., 2003), section 4.2.1"
