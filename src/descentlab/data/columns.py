"""Which columns of a source are features, and what to say about the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from descentlab.data.csv.text_columns import DAMAGED_REASONS
from descentlab.errors import DataError, did_you_mean, find_duplicates
from descentlab.messages import Message, message


def check_column(name: str, names: Sequence[str], excluded_columns: Mapping[str, Message]) -> str:
    """Return ``name`` if it is a numeric column.

    Raises:
        DataError: the column is not numeric, or does not exist; then similar names are suggested.
    """
    name = str(name)
    if name in names:
        return name
    if name in excluded_columns:
        raise DataError("not_numeric", name=name, reason=excluded_columns[name])
    all_columns = (*names, *excluded_columns)
    raise DataError("no_such_column", name=name, columns=all_columns, near=did_you_mean(name, all_columns))


def choose_features(
    requested: Sequence[str] | None,
    names: Sequence[str],
    excluded_columns: Mapping[str, Message],
    target: str,
    weights: str | None,
    drop: Sequence[str] | None = None,
    set_aside: Mapping[str, Message] | None = None,
) -> tuple[str, ...]:
    """The requested features; by default every numeric column except the target, the weights and row numbers.

    Args:
        requested: the features; None for all.
        names, excluded_columns: the numeric columns, and why the others are not.
        target, weights: columns that are not features.
        drop: columns that are not features either.
        set_aside: numeric columns that are features only if they are requested, and why.

    Raises:
        DataError: no feature is left; one is requested twice, not numeric, the target or the weights; or, by default,
            a column is nearly numeric, so that leaving it out might be a mistake; or a column to drop does not exist,
            or is used.
    """
    dropped, set_aside = as_names(drop), set_aside or {}
    _check_dropped(dropped, requested, (*names, *excluded_columns), target, weights)
    if requested is None:
        for name, reason in excluded_columns.items():
            if reason.key in DAMAGED_REASONS and name not in dropped:
                raise DataError("nearly_numeric", name=name, reason=reason)
        features = tuple(name for name in names if name not in (target, weights, *dropped, *set_aside))
    else:
        features = tuple(
            check_column(name, names, excluded_columns)
            for name in ([requested] if isinstance(requested, str) else requested)
        )
    repeated = find_duplicates(features)
    if repeated:
        raise DataError("duplicate_columns", names=repeated)
    for key, role in (("target_is_feature", target), ("weights_are_feature", weights)):
        if role in features:
            raise DataError(key, name=role)
    if not features:
        reasons = {**excluded_columns, **set_aside}
        left_out = [message("left_out.named", name=name, reason=reasons[name]) for name in reasons if name != target]
        left_out += [message("left_out.dropped", name=name) for name in dropped if name not in reasons]
        if left_out:
            raise DataError("no_features_reasons", target=target, reasons=left_out)
        raise DataError("no_features", target=target, columns=(*names, *excluded_columns))
    return features


def as_names(names: Sequence[str] | None) -> tuple[str, ...]:
    """One name, several, or none, as a tuple."""
    return () if names is None else (names,) if isinstance(names, str) else tuple(map(str, names))


def _check_dropped(
    dropped: Sequence[str], requested: Sequence[str] | None, columns: Sequence[str], target: str, weights: str | None
) -> None:
    """Raise DataError if a column to drop does not exist, or is used."""
    for name in dropped:
        if name not in columns:
            raise DataError("no_such_column", name=name, columns=columns, near=did_you_mean(name, columns))
        if name in (target, weights) or name in as_names(requested):
            raise DataError("drop_of_used", name=name)
