"""What a batch looks like at a sampled step: scales of inputs and targets, rows and columns that do not vary."""

from __future__ import annotations

from typing import Any, NamedTuple

from descentlab.watching.sampling.comparison import Comparison
from descentlab.watching.sampling.model_graph import OUTPUT_RANGES

MAX_LABELS = 1_000  # distinct whole numbers that may be classes
MAX_BATCH_VALUES = 262_144  # of one batch; of a larger one the first rows
RANGE_TOLERANCE = 0.01  # of the targets' own range


class BatchSample(NamedTuple):
    """One batch; every number is a tensor until it is read, and None where it does not apply.

    Attributes:
        n_rows: of the inputs.
        rms, mean: of all inputs.
        column_std, column_mean: (d,) of inputs in columns.
        rows_identical: whether every row is the first one.
        comparison: the sort of loss.
        target_min, target_max, target_rms: of the targets.
        whole: whether they are whole numbers.
        label_counts: how often each whole number from 0 on occurs.
        one_hot: whether each row has one 1 and zeros.
        outside: the share of targets that the last operation of the model cannot reach.
        predicted_counts: how often each class is predicted, of two for binary losses.
        output_rms: of the output.
    """

    n_rows: int
    rms: Any = None
    mean: Any = None
    column_std: Any = None
    column_mean: Any = None
    rows_identical: Any = None
    comparison: str = ""
    target_min: Any = None
    target_max: Any = None
    target_rms: Any = None
    whole: Any = None
    label_counts: Any = None
    one_hot: Any = None
    outside: Any = None
    predicted_counts: Any = None
    output_rms: Any = None


def sample_batch(X: Any, output: Any, comparison: Comparison | None, last_operation: str) -> BatchSample:
    """Measure one batch.

    Args:
        X: the first input, or None.
        output: of the model, without its graph.
        comparison: what the loss compares it with, or None.
        last_operation: the kind of the node that makes the output.
    """
    sample = BatchSample(len(X) if X is not None and X.ndim else 0)
    if X is not None and X.ndim and not X.is_sparse and X.numel():
        sample = sample._replace(**_input_fields(X.detach()))
    if comparison is None or not comparison.target.numel() or comparison.target.is_complex():
        return sample
    return sample._replace(
        comparison=comparison.kind,
        **_target_fields(comparison.target.detach(), last_operation),
        **_prediction_fields(output, comparison.kind),
    )


def _input_fields(X: Any) -> dict[str, Any]:
    rows = X[: max(2, MAX_BATCH_VALUES // max(1, X[0].numel()))].flatten(1) if X.ndim > 1 else X[:, None]
    fields: dict[str, Any] = {}
    if len(rows) > 1 and (X.ndim > 1 or X.is_floating_point()):
        fields["rows_identical"] = (rows == rows[:1]).all()
    if not X.is_floating_point():
        return fields
    rows = rows.float()
    fields |= {"rms": rows.square().mean().sqrt(), "mean": rows.mean()}
    if X.ndim == 2 and len(rows) > 2:
        fields |= {"column_std": rows.std(0), "column_mean": rows.mean(0)}
    return fields


def _target_fields(target: Any, last_operation: str) -> dict[str, Any]:
    values = target.reshape(-1)[:MAX_BATCH_VALUES].float()
    low, high = values.min(), values.max()
    whole = ((values - values.round()).abs() < 1e-4).all()
    fields = {"target_min": low, "target_max": high, "target_rms": values.square().mean().sqrt(), "whole": whole}
    is_label = bool(whole) and float(low) >= 0 and float(high) < MAX_LABELS
    if is_label:
        fields["label_counts"] = values.round().long().bincount()
    if is_label and target.ndim == 2 and target.shape[1] > 1:
        fields["one_hot"] = bool(high <= 1) and bool((target.float().sum(1) == 1).all())
    if last_operation in OUTPUT_RANGES:
        _, least, largest = OUTPUT_RANGES[last_operation]
        slack = RANGE_TOLERANCE * (high - low)
        fields["outside"] = ((values < least - slack) | (values > largest + slack)).float().mean()
    return fields


def _prediction_fields(output: Any, kind: str) -> dict[str, Any]:
    fields = {"output_rms": output.float().square().mean().sqrt()}
    if kind == "classes" and output.ndim >= 2:
        fields["predicted_counts"] = output.argmax(1).reshape(-1).bincount(minlength=output.shape[1])
    if kind == "binary":
        middle = 0.5 if float(output.min()) >= 0 and float(output.max()) <= 1 else 0.0
        fields["predicted_counts"] = (output > middle).long().reshape(-1).bincount(minlength=2)
    return fields
