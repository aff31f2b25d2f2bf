"""Rows into a factor on several cores: the same bits whoever does it, and NIST's digits by every way in."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from descentlab import DataError, Factor, Problem, SettingError, compress
from descentlab.data.selection import ColumnSelection
from descentlab.factor.build import build_factor
from descentlab.factor.checkpoint import Checkpoint, Job
from descentlab.factor.executors.threads import Threads
from descentlab.factor.factor import choose_origin
from descentlab.factor.merge_tree import MergeTree
from descentlab.factor.piece_result import PieceResult
from tests.pieces import NAMES, arrow, bits, small_pieces, table, write_csv, write_ipc, write_parquet
from tests.problem.test_nist import SETS, Set, as_floats, observations
from tests.rational import correct_digits, least_squares

Way = Callable[[Path, Any], object]

WAYS: dict[str, Way] = {
    "array": lambda _, values: values,
    "table": lambda _, values: arrow(values, tuple(f"x{j + 1}" for j in range(values.shape[1]))),
    "csv": lambda folder, values: write_csv(folder / "a.csv", values),
    "parquet": lambda folder, values: write_parquet(folder / "a.parquet", values),
    "ipc": lambda folder, values: write_ipc(folder / "a.arrow", values),
    "several files": lambda folder, values: [
        str(write_csv(folder / "1.csv", values[:700])),
        str(write_parquet(folder / "2.parquet", values[700:])),
    ],
}
way = pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())


def asked(data: object, **settings: Any) -> ColumnSelection:
    target = "x4" if not isinstance(data, str | Path | list) else "y"
    chosen = {"target": target, "features": None, "weights": None, "missing": "error", "csv_options": {}} | settings
    return ColumnSelection(data, None, **chosen)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    small_pieces(monkeypatch)


@way
def test_any_number_of_workers_gives_the_same_bits(tmp_path: Path, way: Way) -> None:
    data = way(tmp_path, table())
    selection = asked(data)
    assert len(list(selection.source.pieces(selection.plan.columns))) > 20
    one, two, seven = (build_factor(asked(data), Threads(workers)) for workers in (1, 2, 7))
    assert bits(one) == bits(two) == bits(seven)
    assert one.rows == 3000
    assert one.weight == 3000.0


@way
def test_it_is_the_factor_of_the_rows(tmp_path: Path, way: Way) -> None:
    """The slow twin: all rows at once, in extended precision where there is one."""
    values = table()
    factor = build_factor(asked(way(tmp_path, values)), Threads(2))
    Z = np.column_stack([np.ones(len(values)), values - factor.origin]).astype(np.longdouble)
    lengths = np.sqrt((Z**2).sum(axis=0)).astype(float)
    error = np.abs(factor.R_centered.T @ factor.R_centered - (Z.T @ Z).astype(float)) / np.outer(lengths, lengths)
    assert error.max() < 1e-13


@way
def test_weights_too(tmp_path: Path, way: Way) -> None:
    values = table()
    values[:, 2] = np.abs(values[:, 2])
    name = "x3" if way in (WAYS["array"], WAYS["table"]) else "c"
    data = way(tmp_path, values)
    one, seven = (build_factor(asked(data, weights=name), Threads(workers)) for workers in (1, 7))
    assert bits(one) == bits(seven)
    assert one.weight == pytest.approx(values[:, 2].sum())
    assert len(one.columns) == 3


@way
def test_rows_that_are_dropped_may_be_whole_pieces(tmp_path: Path, way: Way) -> None:
    """Also the first ones, from which the origin would come; the first rows of a CSV say what its columns hold."""
    values, first = table(), 5 if way in (WAYS["csv"], WAYS["several files"]) else 0
    values[first:450, 1] = np.nan  # four pieces of an array, and then some
    values[1200:1700, 3] = np.nan
    values[2999, 0] = np.nan
    data = way(tmp_path, values)
    selections = [asked(data, missing="drop") for _ in range(3)]
    one, two, seven = (build_factor(each, Threads(n)) for each, n in zip(selections, (1, 2, 7), strict=True))
    assert bits(one) == bits(two) == bits(seven)
    assert one.rows == 3000 - 951 + first
    assert selections[2].dropped == 951 - first
    kept = values[~np.isnan(values).any(axis=1)]
    np.testing.assert_allclose(one.means, kept.mean(axis=0), rtol=1e-12)
    with pytest.raises(DataError, match=f"missing in {951 - first} rows"):
        build_factor(asked(data), Threads(7))


def test_rows_that_are_dropped_may_be_all(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "a.parquet", np.full((900, 4), np.nan))
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({name: pa.array([None] * 900, pa.float64()) for name in NAMES}), path, row_group_size=100)
    with pytest.raises(DataError, match="900"):
        build_factor(asked(path, missing="drop"), Threads(3))


def test_target_and_weights_are_cut_with_the_rows() -> None:
    values = table()
    X, y, w = values[:, :3], values[:, 3], np.abs(values[:, 0])
    factors = [
        build_factor(ColumnSelection(X, y, None, None, w, "error", {}), Threads(1)),
        build_factor(ColumnSelection(X, y, None, None, w, "error", {}), Threads(7)),
        build_factor(ColumnSelection(arrow(X, NAMES[:3]), y, None, ["a", "b", "c"], w, "error", {}), Threads(2)),
    ]
    assert bits(factors[0]) == bits(factors[1])
    np.testing.assert_array_equal(factors[0].R_centered, factors[2].R_centered)


def test_an_error_of_one_piece_names_every_column_of_all(tmp_path: Path) -> None:
    values = table()
    values[250, 0], values[2750, 1] = np.inf, -np.inf
    with pytest.raises(DataError, match=r"`a`: 1.*`b`: 1"):
        build_factor(asked(write_parquet(tmp_path / "a.parquet", values)), Threads(3))


def test_progress_counts_what_was_read(tmp_path: Path) -> None:
    for path in (write_csv(tmp_path / "a.csv", table()), write_parquet(tmp_path / "a.parquet", table())):
        calls: list[Any] = []
        selection = asked(path)
        build_factor(selection, Threads(3), progress=lambda *each: calls.append(each))  # noqa: B023 (called at once)
        size = selection.source.size
        assert [done for done, *_ in calls] == sorted({done for done, *_ in calls})
        assert calls[-1] == (size, size, 3000)
        assert {total for _, total, _ in calls} == {size}


def test_no_workers_are_refused() -> None:
    for wrong in (0, -1, 1.5):
        with pytest.raises(SettingError, match="workers"):
            Threads(wrong)  # type: ignore[arg-type]


def kept_and_loaded(folder: Path, values: Any, names: tuple[str, ...]) -> object:
    compress(str(write_csv(folder / "k.csv", values, names)), target="y", output=folder / "k.factor")
    return folder / "k.factor"


def merged_parts(folder: Path, values: Any, names: tuple[str, ...]) -> object:
    made: list[Path] = []
    for i, part in enumerate(np.array_split(values, 3)):
        path = write_parquet(folder / f"m{i}.parquet", part, names, 4)
        made.append(folder / "m.factor")
        compress(path, target="y", merge=made[:-1][-1:], output=made[-1])
    return folder / "m.factor"


NIST_WAYS: dict[str, Callable[[Path, Any, tuple[str, ...]], object]] = {
    "csv": lambda folder, values, names: write_csv(folder / "a.csv", values, names),
    "parquet": lambda folder, values, names: write_parquet(folder / "a.parquet", values, names, 7),
    "ipc": lambda folder, values, names: write_ipc(folder / "a.arrow", values, names, 7),
    "table": lambda _, values, names: arrow(values, names),
    "kept and loaded": kept_and_loaded,
    "merged": merged_parts,
}


@pytest.mark.slow
@pytest.mark.parametrize("path", NIST_WAYS.values(), ids=NIST_WAYS.keys())
@pytest.mark.parametrize("data", SETS, ids=lambda data: data.name)
def test_certified_digits_by_every_way_in(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, data: Set, path: Any
) -> None:
    small_pieces(monkeypatch, 8, 600)
    columns, y = observations(data)
    names = (*(f"x{j}" for j in range(len(columns))), "y")
    values = np.column_stack([as_floats(data, columns), [float(v) for v in y]])
    engine = Threads(2)
    minimum = Problem(path(tmp_path, values, names), target="y", bias=data.bias, engine=engine).solve()
    correct = correct_digits(minimum.params, least_squares(columns, y, bias=data.bias))
    assert minimum.rank == len(minimum.params)
    assert correct.min() >= data.digits - 1.5  # as for any other division of the rows
    assert (minimum.digits <= correct).all()


def test_a_tree_is_the_same_where_it_was_begun_elsewhere(tmp_path: Path) -> None:
    """Whatever was joined before it came is joined as the tree would have."""
    parts = [Factor.from_block(part, NAMES) for part in np.split(table(1300), 13)]
    tree, grouped = (MergeTree(Factor.empty(NAMES)) for _ in range(2))
    for part in parts:
        tree.add(part)
    for start in range(0, 12, 4):
        a, b, c, d = parts[start : start + 4]
        grouped.add(a.merge(b).merge(c.merge(d)), 2)
    grouped.add(parts[12])
    assert grouped.count == tree.count == 13
    assert bits(grouped.result()) == bits(tree.result())


def test_merged_results_are_one_result_of_all_their_pieces(tmp_path: Path) -> None:
    selection = asked(write_parquet(tmp_path / "a.parquet", table()))
    first, second, *_ = (
        PieceResult.from_piece(piece, selection.plan, NAMES, np.zeros(len(NAMES)))
        for piece in selection.source.pieces(selection.plan.columns)
    )
    merged = first.merge(second)
    assert (merged.size, merged.factor.rows) == (first.size + second.size, first.factor.rows + second.factor.rows)
    assert merged.scan_counts.rows == merged.factor.rows
    assert (merged.next_offset, merged.level) == (second.next_offset, 1)


def test_pieces_have_one_origin_even_if_the_first_keep_no_row(tmp_path: Path) -> None:
    """Without one there would be nothing to continue from."""
    values = table()
    values[:1000] = np.nan
    path, checkpoint = write_parquet(tmp_path / "a.parquet", values), Checkpoint(tmp_path / "a.part", Job({}, []), 0.0)
    assert build_factor(asked(path, missing="drop"), Threads(2), checkpoint).rows == 2000
    state = checkpoint.load()
    assert state is not None
    np.testing.assert_array_equal(state.origin, choose_origin(values[1000:1100]))


class Rows(list[int]):
    """Rows that are merged by writing them one after another."""

    def merge(self, other: Rows) -> Rows:
        return Rows([*self, *other])


@pytest.mark.parametrize("count", [1, 2, 7, 12])
def test_a_tree_merges_its_items_in_order(count: int) -> None:
    tree = MergeTree(Rows())
    for i in range(count):
        tree.add(Rows([i]))
    assert tree.result() == list(range(count))
