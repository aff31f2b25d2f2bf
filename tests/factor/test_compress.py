"""Factors kept on disk: done once, continued, merged, and never wrong because something else went wrong."""

from __future__ import annotations

import errno
import gzip
import json
import os
import random
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from descentlab import DataError, Factor, SettingError, compress
from descentlab.errors import DescentlabError
from descentlab.factor import archive, checkpoint
from descentlab.factor.compress import CompressOptions, CompressResult, checkpoint_path, compress_with_notices
from descentlab.factor.executors.threads import Threads
from descentlab.factor.factor import FACTOR_FORMAT
from descentlab.factor.file import load_with_provenance
from descentlab.factor.merge_tree import MergeTree
from descentlab.storage import write_atomically
from tests.pieces import NAMES, arrow, bits, small_pieces, table, write_csv, write_parquet

CHOSEN = {"target": "y", "features": None, "weights": None, "missing": "error"}


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    small_pieces(monkeypatch)


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    return write_csv(tmp_path / "rows.csv", table())


@pytest.fixture
def output(tmp_path: Path) -> Path:
    (tmp_path / "out").mkdir()
    return tmp_path / "out" / "all.factor"


def kept(data: Any, output: Path, merge: Any = (), **chosen: Any) -> CompressResult:
    return compress_with_notices([str(data)], CHOSEN | chosen, merge, output, {}, CompressOptions(every=0.0))


class Stop(Exception):  # noqa: N818 (it is none)
    """Something that goes wrong in the middle."""


def stopped(after: int, error: type[BaseException] = Stop) -> Callable[..., None]:
    """A progress function that raises after ``after`` pieces."""
    calls = iter(range(1, after + 1))

    def progress(done: int, total: int | None, rows: int) -> None:
        if next(calls) == after:
            raise error

    return progress


def begun(data: Any, output: Path, after: int = 10, **settings: Any) -> None:
    """The beginning of a compression, with its state where a kill would leave it."""
    with pytest.raises(Stop):
        compress(data, target="y", output=output, every=0.0, progress=stopped(after), **settings)
    assert checkpoint_path(output).exists()
    assert not output.exists()


def file_names(output: Path) -> set[str]:
    return {path.name for path in output.parent.iterdir()}


def test_what_is_kept_is_what_is_given(rows: Path, output: Path) -> None:
    factor = compress(rows, target="y", output=output, every=0.0)
    assert bits(factor) == bits(Factor.load(output)) == bits(compress(rows, target="y"))
    assert file_names(output) == {"all.factor"}


def test_the_last_numeric_column_is_the_target_where_none_is_named(rows: Path) -> None:
    assert compress(rows).columns == NAMES
    assert compress(arrow(np.abs(table())), weights="y").columns == ("a", "b", "c")


def test_the_same_again_is_found_done(rows: Path, output: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = kept(rows, output)
    content = output.read_bytes()
    monkeypatch.setattr("descentlab.factor.compress.build_factor", None)  # whoever reads fails
    again = kept(rows, output)
    assert (first.was_cached, again.was_cached) == (False, True)
    assert bits(first.factor) == bits(again.factor)
    assert output.read_bytes() == content


@pytest.mark.slow
def test_anything_else_is_not_found_done(rows: Path, output: Path) -> None:
    kept(rows, output)
    assert not kept(rows, output, features=["a"]).was_cached
    assert Factor.load(output).columns == ("a", "y")
    assert not kept(rows, output, missing="drop").was_cached
    write_csv(rows, table(2000))
    assert kept(rows, output, missing="drop").factor.rows == 2000
    os.utime(rows, ns=(1, 1))  # the same size, changed at another time
    assert not kept(rows, output, missing="drop").was_cached


def test_restart_reads_again(rows: Path, output: Path) -> None:
    kept(rows, output)
    calls: list[int] = []
    compress(rows, target="y", output=output, restart=True, progress=lambda done, *_: calls.append(done))
    assert calls


def test_a_compression_goes_on_where_it_stopped(rows: Path, output: Path) -> None:
    begun(rows, output, after=30)
    calls: list[int] = []
    factor = compress(rows, target="y", output=output, every=0.0, progress=lambda done, *_: calls.append(done))
    assert min(calls) > rows.stat().st_size / 10
    assert calls[-1] == rows.stat().st_size
    assert bits(factor) == bits(compress(rows, target="y")) == bits(Factor.load(output))
    assert file_names(output) == {"all.factor"}


@pytest.mark.parametrize("after", range(1, 12))
def test_every_piece_is_a_place_to_stop(tmp_path: Path, output: Path, after: int) -> None:
    """With weights and dropped rows, whose counts are part of the state."""
    values = table(1200)
    values[100:400:7, 1] = np.nan
    values[:, 2] = np.abs(values[:, 2])
    path = write_parquet(tmp_path / "a.parquet", values)
    settings = {"weights": "c", "missing": "drop"}
    begun(path, output, after, engine=Threads(3), **settings)
    calls: list[int] = []
    again = compress_with_notices(
        [str(path)],
        CHOSEN | settings,
        (),
        output,
        {},
        CompressOptions(Threads(2), progress=lambda *each: calls.append(each[2])),
    )
    assert bits(again.factor) == bits(compress(path, target="y", **settings))  # type: ignore[arg-type]
    assert calls[-1] == 1200  # each row once
    assert "43 of 1,200" in " ".join(map(str, again.notices))


def test_stopping_again_and_again(tmp_path: Path, output: Path) -> None:
    path = write_parquet(tmp_path / "a.parquet", table(1500))
    for _ in range(14):
        with pytest.raises(Stop):
            compress(path, target="y", output=output, every=0.0, progress=stopped(1))
    assert bits(compress(path, target="y", output=output)) == bits(compress(path, target="y"))


@pytest.mark.parametrize("moment", ["before", "popped", "added"])
def test_an_interrupt_leaves_no_half_of_a_piece(
    tmp_path: Path, output: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """It comes between any two instructions: also while a part is being merged, and before it is noted."""
    path = write_parquet(tmp_path / "a.parquet", table(1200))
    whole, added = MergeTree.add, iter(range(100))

    def add(self: MergeTree[Factor], factor: Factor, level: int = 0) -> None:
        if next(added) == 7:
            if moment == "popped":
                self.pending.pop()
            if moment == "added":
                whole(self, factor, level)
            raise KeyboardInterrupt
        whole(self, factor, level)

    with monkeypatch.context() as patched:
        patched.setattr("descentlab.factor.merge_tree.MergeTree.add", add)
        # A tree within a piece would count too: one block a piece has one part only.
        patched.setattr("descentlab.factor.factor.Factor.from_clean_blocks", _one_part)
        with pytest.raises(KeyboardInterrupt):
            compress(path, target="y", output=output, every=1e9, engine=Threads(1))
    assert bits(compress(path, target="y", output=output)) == bits(compress(path, target="y"))


def _one_part(blocks: Any, columns: Any, origin: Any) -> Factor:
    ((values, weights),) = blocks
    return Factor._from_rows(values, weights, columns, origin)


def test_an_interrupt_while_counts_are_added(tmp_path: Path, output: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also in a run that goes on from a state, before it has kept one of its own."""
    values = table(1200)
    values[::3, 1] = np.nan
    path = write_parquet(tmp_path / "a.parquet", values)
    begun(path, output, 4, missing="drop", engine=Threads(1))
    from descentlab.data.selection import ScanCounts

    whole = ScanCounts.__iadd__

    def interrupted(self: ScanCounts, other: ScanCounts) -> ScanCounts:
        whole(self, other)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("descentlab.data.selection.ScanCounts.__iadd__", interrupted)
        with pytest.raises(KeyboardInterrupt):
            compress(path, target="y", output=output, missing="drop", engine=Threads(1))
    again = kept(path, output, missing="drop")
    assert "400 of 1,200" in " ".join(map(str, again.notices))


def test_day_by_day_into_one_file(tmp_path: Path, output: Path) -> None:
    days = [write_csv(tmp_path / f"day{i}.csv", table(300, i)) for i in range(3)]
    compress(days[0], target="y", output=output)
    for day in days[1:]:
        assert not kept(day, output, [output]).was_cached
        assert kept(day, output, [output]).was_cached  # the same command again adds nothing
    whole = Factor.load(output)
    assert whole.rows == 900
    together = compress([str(day) for day in days], target="y")
    np.testing.assert_allclose(whole.R.T @ whole.R, together.R.T @ together.R, rtol=1e-11)
    before = output.read_bytes()
    for day in days:
        if day != days[2]:
            with pytest.raises(DataError, match=rf"already contains the rows of .*{day.name}.*twice"):
                kept(day, output, [output])
    (tmp_path / "elsewhere").mkdir()
    moved = days[1].rename(tmp_path / "elsewhere" / days[1].name)
    with pytest.raises(DataError, match=r"already contains the rows of .*day1\.csv"):
        kept(moved, output, [output])
    with pytest.raises(DataError, match=r"already contains the rows of .*day1\.csv"):
        kept(moved, output.with_name("other.factor"), [output])
    assert output.read_bytes() == before


def test_a_stop_while_merging_counts_nothing_twice(tmp_path: Path, output: Path) -> None:
    first, second = (write_csv(tmp_path / f"{i}.csv", table(1000, i)) for i in range(2))
    compress(first, target="y", output=output)
    before = output.read_bytes()
    with pytest.raises(Stop):
        compress(second, target="y", merge=[output], output=output, every=0.0, progress=stopped(9))
    assert output.read_bytes() == before
    whole = compress(second, target="y", merge=[output], output=output)
    output.write_bytes(before)
    assert whole.rows == 2000
    assert bits(whole) == bits(compress(second, target="y", merge=[output]))


def test_killed_between_the_output_and_the_state(rows: Path, output: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr("descentlab.factor.checkpoint.Checkpoint.clear", lambda _: None)  # as if it never came to that
        compress(rows, target="y", output=output, every=0.0)
    assert file_names(output) == {"all.factor", "all.factor.part"}
    content = output.read_bytes()
    assert kept(rows, output).was_cached
    assert file_names(output) == {"all.factor"}
    assert output.read_bytes() == content


def test_killed_between_the_last_piece_and_the_output(
    rows: Path, output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise Stop

    with monkeypatch.context() as patched:
        patched.setattr("descentlab.factor.compress._save_factor", full)
        with pytest.raises(Stop):
            compress(rows, target="y", output=output, every=0.0)
    calls: list[int] = []
    factor = compress(rows, target="y", output=output, progress=lambda done, *_: calls.append(done))
    assert calls == []
    assert bits(factor) == bits(compress(rows, target="y"))


def test_other_columns_are_refused_by_name_before_anything_is_read(
    tmp_path: Path, output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compress(write_csv(tmp_path / "a.csv", table(300)), target="y", output=output)
    other = write_csv(tmp_path / "b.csv", table(300), ("a", "b", "z", "y"))
    monkeypatch.setattr("descentlab.factor.compress.build_factor", None)
    with pytest.raises(DataError, match=r"One has a, b, c, y; the other has a, b, z, y"):
        kept(other, output, [output])


def test_another_order_of_columns_is_none_other(tmp_path: Path, output: Path) -> None:
    values = table(600)
    first = write_csv(tmp_path / "a.csv", values[:300])
    second = write_csv(tmp_path / "b.csv", values[300:, [2, 3, 0, 1]], ("c", "y", "a", "b"))
    compress(first, target="y", output=output)
    whole = compress(second, target="y", merge=[output])
    assert (whole.columns, whole.rows) == (NAMES, 600)
    np.testing.assert_allclose(whole.means, values.mean(axis=0), rtol=1e-12)
    assert compress(second, target="b", merge=[output]).columns[-1] == "b"


def test_factors_alone(tmp_path: Path, output: Path) -> None:
    paths = []
    for i in range(2):
        paths.append(tmp_path / f"{i}.factor")
        compress(write_csv(tmp_path / f"{i}.csv", table(300, i)), target="y", output=paths[-1])
    whole = compress(paths, output=output, target="a")
    assert (whole.rows, whole.columns) == (600, ("b", "c", "y", "a"))
    assert (
        load_with_provenance(output)[1].input_ids
        == load_with_provenance(paths[0])[1].input_ids | load_with_provenance(paths[1])[1].input_ids
    )
    with pytest.raises(DataError, match="There is no column `z`"):
        compress(paths, target="z")
    with pytest.raises(SettingError, match="Leave out weights, features"):
        compress(paths, weights="a", features=["b"])
    for twice in ([paths[0], output], [paths[1], paths[1]]):
        with pytest.raises(DataError, match="contain rows of the same file"):
            compress(twice)
        from descentlab import Problem

        with pytest.raises(DataError, match="contain rows of the same file"):
            Problem([str(path) for path in twice])


def test_rows_from_memory(tmp_path: Path, output: Path) -> None:
    """They leave no mark of a file, so they are read again each time; the factor that holds them is a mark itself."""
    values = table(300)
    factor = compress(arrow(values), target="y", output=output, every=0.0)
    assert bits(factor) == bits(Factor.load(output))
    assert file_names(output) == {"all.factor"}
    more = compress(arrow(table(200, 1)), target="y", merge=[output], output=tmp_path / "more.factor")
    assert more.rows == 500
    with pytest.raises(DataError, match="contain rows of the same file"):
        compress([output, output])
    with pytest.raises(DataError, match="contain rows of the same file"):
        compress([output, tmp_path / "more.factor"])
    with pytest.raises(DataError, match="delimiter"):
        compress(arrow(values), target="y", delimiter=";")


def test_changed_inputs_are_refused_until_restart(rows: Path, output: Path) -> None:
    begun(rows, output)
    write_csv(rows, table(2000, 5))
    state = checkpoint_path(output).read_bytes()
    with pytest.raises(DataError, match=r"inputs have changed since: .*rows\.csv\. Give --restart"):
        kept(rows, output)
    assert checkpoint_path(output).read_bytes() == state
    factor = compress(rows, target="y", output=output, restart=True)
    assert factor.rows == 2000
    assert file_names(output) == {"all.factor"}


def test_the_way_out_may_also_be_to_delete_the_state(rows: Path, output: Path) -> None:
    begun(rows, output)
    rows.touch()
    with pytest.raises(DataError, match="delete that file"):
        kept(rows, output)
    checkpoint_path(output).unlink()
    assert kept(rows, output).factor.rows == 3000


def test_a_file_more_in_the_folder_is_a_change(tmp_path: Path, output: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    write_csv(folder / "1.csv", table(1000))
    begun(folder, output)
    write_csv(folder / "2.csv", table(1000, 1))
    with pytest.raises(DataError, match=r"changed since: \S*2\.csv\. "):
        kept(folder, output)


def test_another_plan_is_refused(rows: Path, output: Path) -> None:
    begun(rows, output)
    for other in ({"features": ["a"]}, {"weights": "a"}, {"missing": "drop"}):
        with pytest.raises(DataError, match="a checkpoint of another compression"):
            kept(rows, output, **other)
    with pytest.raises(DataError, match="a checkpoint of another compression"):
        compress(rows, target="y", output=output, delimiter=",")
    assert bits(kept(rows, output).factor) == bits(compress(rows, target="y"))  # the first can still go on


def test_an_input_that_changes_while_it_is_read(rows: Path, output: Path) -> None:
    calls: list[int] = []

    def touched(done: int, *_: Any) -> None:
        calls.append(done)
        if len(calls) == 5:
            os.utime(rows, ns=(5, 5))

    with pytest.raises(DataError, match=r"rows\.csv changed while being read"):
        compress(rows, target="y", output=output, every=0.0, progress=touched)
    assert file_names(output) == set()  # the state matches neither version
    assert kept(rows, output).factor.rows == 3000


def test_an_input_that_vanishes(tmp_path: Path, output: Path) -> None:
    """In the middle, or just before the end: a sentence that names it."""
    path = write_parquet(tmp_path / "a.parquet", table(1000))
    hidden = tmp_path / "hidden"

    def gone(done: int, total: int | None, rows: int) -> None:
        if done == 500 and path.exists():
            path.rename(hidden)

    with pytest.raises(DataError, match=r"a\.parquet cannot be read"):
        compress(path, target="y", output=output, every=0.0, engine=Threads(1), progress=gone)
    hidden.rename(path)
    calls: list[int] = []
    factor = compress(path, target="y", output=output, progress=lambda done, *_: calls.append(done))
    assert calls[0] > 500
    assert bits(factor) == bits(compress(path, target="y"))

    csv = write_csv(tmp_path / "a.csv", table(1000))

    def gone_too(done: int, *_: Any) -> None:
        if done == csv_size:
            csv.unlink()

    csv_size = csv.stat().st_size
    with pytest.raises(DataError, match=r"a\.csv cannot be read"):
        compress(csv, target="y", progress=gone_too)


def test_a_page_that_cannot_be_read(tmp_path: Path, output: Path) -> None:
    """Nothing before it is lost: repaired, so that its size and time are the same, the file is read on from there."""
    import pyarrow.parquet as pq

    path = write_parquet(tmp_path / "a.parquet", table(1000), group=200)
    whole, time_of = path.read_bytes(), path.stat().st_mtime_ns
    column = pq.ParquetFile(path).metadata.row_group(3).column(1)
    at = column.data_page_offset + column.total_compressed_size // 2
    path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
    os.utime(path, ns=(time_of, time_of))
    for _ in range(2):  # the second time from the state
        with pytest.raises(DataError, match=r"a\.parquet cannot be read: .*(CRC|[Cc]orrupt)"):
            kept(path, output)
    path.write_bytes(whole)
    os.utime(path, ns=(time_of, time_of))
    calls: list[int] = []
    factor = compress(path, target="y", output=output, progress=lambda done, *_: calls.append(done))
    assert calls[0] == 800
    assert bits(factor) == bits(compress(path, target="y"))


def test_a_compressed_file_that_was_cut_short(tmp_path: Path, output: Path) -> None:
    path = tmp_path / "a.csv.gz"
    content = gzip.compress(write_csv(tmp_path / "a.csv", table()).read_bytes(), mtime=0)
    path.write_bytes(content[:-2000])
    with pytest.raises(DataError, match=r"a\.csv\.gz cannot be read"):
        kept(path, output)
    path.write_bytes(content)
    assert kept(path, output.with_name("whole.factor")).factor.rows == 3000


def test_a_disks_error_in_a_csv_file(rows: Path, output: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from descentlab.data.csv.schema import CsvSchema

    whole = CsvSchema.open_stream

    class Bad:
        def __init__(self, file: Any) -> None:
            self.file = file

        def __enter__(self) -> Bad:
            return self

        def __exit__(self, *_: object) -> None:
            self.file.close()

        def seek(self, start: int) -> None:
            self.file.seek(start)

        def read(self, size: int) -> Any:
            if self.file.tell() > 100_000:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            return self.file.read(size)

    with monkeypatch.context() as patched:
        patched.setattr(
            "descentlab.data.csv.source.CsvSchema.open_stream", lambda self, start=0: Bad(whole(self, start))
        )
        with pytest.raises(DataError, match=r"rows\.csv cannot be read: .*Input/output error"):
            kept(rows, output)
    assert checkpoint_path(output).exists()
    assert bits(kept(rows, output).factor) == bits(compress(rows, target="y"))


@pytest.mark.slow
@pytest.mark.parametrize("call", ["os.fsync", "numpy.savez"])
def test_a_full_disk(rows: Path, output: Path, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    """The state written before it was full is there, and the same call goes on once there is room."""
    begun(rows, output, after=20)
    state = checkpoint_path(output).read_bytes()

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(call, full)
        with pytest.raises(DataError, match=r"all\.factor\.part: No space left on device\. .*Free some space"):
            kept(rows, output)
        assert checkpoint_path(output).read_bytes() == state
        with pytest.raises(SettingError, match=r"all\.factor cannot be written: No space left"):
            compress(rows, target="y", output=output, every=1e9)
    assert file_names(output) == {"all.factor.part"}  # and no litter
    assert bits(kept(rows, output).factor) == bits(compress(rows, target="y"))


def test_outputs_that_cannot_be_written_are_refused_before_the_work(
    rows: Path, output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("descentlab.factor.compress.build_factor", None)
    wrong = [output.parent, output / "x", output.parent / "none" / "x", Path("/dev/null"), Path(), rows / "x"]
    for path in wrong:
        with pytest.raises(SettingError, match="cannot be written"):
            compress(rows, target="y", output=path)
    with pytest.raises(SettingError, match="cannot be written"):
        compress(rows, target="y", output="a\0b")


def test_inputs_are_spared(tmp_path: Path, rows: Path) -> None:
    content = rows.read_bytes()
    link = tmp_path / "link"
    link.symlink_to(rows)
    for path in (rows, link):
        with pytest.raises(SettingError, match="one of the input files"):
            compress(rows, target="y", output=path)
    with pytest.raises(SettingError, match="every file in that folder is read"):
        compress(tmp_path, target="y", output=tmp_path / "all.factor")
    part = write_csv(tmp_path / "all.part", table(300))
    with pytest.raises(SettingError, match=r"all\.part is one of the input files"):
        compress(part, target="y", output=tmp_path / "all")
    assert rows.read_bytes() == content


def test_a_link_stays_one(rows: Path, output: Path) -> None:
    link = output.with_name("link")
    link.symlink_to(output)
    compress(rows, target="y", output=link)
    assert link.is_symlink()
    assert Factor.load(output).rows == 3000


def test_settings_are_checked(rows: Path) -> None:
    with pytest.raises(SettingError, match="missing"):
        compress(rows, target="y", missing="dorp")
    for wrong in (-1, float("nan"), "often"):
        with pytest.raises(SettingError, match="every"):
            compress(rows, target="y", every=wrong)  # type: ignore[arg-type]
    with pytest.raises(SettingError, match="delimeter"):
        compress(rows, target="y", delimeter=",")


def test_names_that_are_no_text(tmp_path: Path, output: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.csv"))
    write_csv(path, table(300))
    with pytest.raises(DataError, match="cannot be read"):  # pyarrow opens none
        kept(path, output)


# What lies on disk may be anything.

Read = Callable[[Path, Path], object]


def load_state(path: Path, rows: Path) -> object:
    output = path.with_name(path.name.removesuffix(".part"))
    return bits(kept(rows, output).factor)


def load_factor(path: Path, _: Path) -> object:
    factor, made = load_with_provenance(path)
    return bits(factor), made


def on_disk(kind: str, rows: Path, output: Path) -> tuple[Path, Read]:
    if kind == "checkpoint":
        begun(rows, output)
        return checkpoint_path(output), load_state
    compress(rows, target="y", output=output)
    return output, load_factor


both = pytest.mark.parametrize("kind", ["factor", "checkpoint"])


@pytest.mark.slow
@both
def test_a_flipped_bit_is_refused_or_harmless(tmp_path: Path, output: Path, kind: str) -> None:
    """In every region of the file. Where it holds nothing, such as a date in the archive, all else is as it was."""
    rows = write_csv(tmp_path / "short.csv", table(600))
    path, read = on_disk(kind, rows, output)
    content, right = path.read_bytes(), bits(compress(rows, target="y"))
    made = load_with_provenance(path)[1] if kind == "factor" else None
    seeded = random.Random(4)
    places = range(seeded.randrange(13), len(content), 13 if kind == "factor" else 53)
    refused: list[str] = []
    for at in places:
        path.write_bytes(content[:at] + bytes([content[at] ^ 1 << seeded.randrange(8)]) + content[at + 1 :])
        if kind == "checkpoint":
            output.unlink(missing_ok=True)  # or the next one would find it done
        try:
            found = read(path, rows)
        except DataError as error:
            refused.append(error.message.key)
        else:
            assert found == (right if made is None else (right, made))
    assert set(refused) == {f"error.{kind}_damaged"}
    assert len(refused) > 0.5 * len(places)


@both
def test_a_file_cut_short_or_grown_is_refused_or_harmless(rows: Path, output: Path, kind: str) -> None:
    path, read = on_disk(kind, rows, output)
    content = path.read_bytes()
    for size in (0, 1, 4, 30, len(content) // 3, len(content) - 30, len(content) - 1):
        path.write_bytes(content[:size])
        with pytest.raises(DataError, match=r"damaged"):
            read(path, rows)
        assert path.read_bytes() == content[:size]


KINDS = {"factor": FACTOR_FORMAT, "checkpoint": checkpoint.CHECKPOINT_FORMAT}


@both
def test_newer_and_foreign_files(rows: Path, output: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path, read = on_disk(kind, rows, output)
    own = KINDS[kind]
    fields = archive.read_archive(path, own)
    write_atomically(path, archive.pack_arrays(replace(own, version=9), fields))
    with pytest.raises(DataError, match="format 9"):
        read(path, rows)
    write_atomically(path, archive.pack_arrays(replace(own, name="something"), fields))
    with pytest.raises(DataError, match="damaged"):
        read(path, rows)
    for content in (b"a,b\n1,2\n", b"PK\x03\x04 and nothing else", os.urandom(999)):
        path.write_bytes(content)
        with pytest.raises(DataError, match="damaged"):
            read(path, rows)
    path.unlink()
    path.mkdir()
    with pytest.raises(DescentlabError):
        read(path, rows)


@pytest.mark.slow
@both
def test_whole_archives_with_other_content(rows: Path, output: Path, kind: str) -> None:
    """What somebody else wrote by the same rules may lack an array, or hold one of another shape."""
    path, read = on_disk(kind, rows, output)
    own = KINDS[kind]
    fields = archive.read_archive(path, own)
    changed = [{name: value for name, value in fields.items() if name != gone} for gone in fields]
    changed += [fields | {name: np.ones(2)} for name in fields]
    refused: list[str] = []
    for other in changed:
        write_atomically(path, archive.pack_arrays(own, other))
        try:
            read(path, rows)
        except DataError as error:
            refused.append(error.message.key)
    assert set(refused) == {"error.factor_invalid" if kind == "factor" else "error.checkpoint_damaged"}
    assert len(refused) >= len(fields)


def test_a_factor_of_format_1(tmp_path: Path) -> None:
    """It named no kind and no files."""
    factor = Factor.from_block(table(50), NAMES)
    fields = factor.to_arrays()
    path = tmp_path / "old.factor"
    with path.open("wb") as file:
        np.savez(file, format=1, digest=archive.checksum(fields), **fields)
    found, made = load_with_provenance(path)
    assert bits(found) == bits(factor)
    assert made.job_id == ""
    with pytest.raises(DataError, match="contain rows of the same file"):
        compress([path, path])


def test_saving_twice_writes_the_same_bytes(tmp_path: Path) -> None:
    factor = Factor.from_block(table(50), NAMES)
    factor.save(tmp_path / "1")
    factor.save(tmp_path / "2")
    assert (tmp_path / "1").read_bytes() == (tmp_path / "2").read_bytes()


# The real command, and what an operating system does to it.

SMALL = """
import sys
from descentlab.data.csv import row_splitter
row_splitter.PIECE_BYTES = 1 << 12
from descentlab.cli import main
main(sys.argv[1:])
"""


def command(rows: Path, output: Path, *more: str) -> list[str]:
    given = ["compress", str(rows), "-o", str(output), "--checkpoint-every", "0", "--workers", "2", *more]
    return [sys.executable, "-c", SMALL, *given]


def started(*arguments: Any, **settings: Any) -> subprocess.Popen[str]:
    return subprocess.Popen(command(*arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **settings)


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    while process.poll() is None and not condition():
        time.sleep(0.002)


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=120)
    return process.returncode, out, err


@pytest.fixture
def long(tmp_path: Path) -> Path:
    return write_csv(tmp_path / "long.csv", table(10_000))


@pytest.mark.slow
def test_interrupted_by_ctrl_c(long: Path, output: Path) -> None:
    process = started(long, output)
    wait_for(checkpoint_path(output).exists, process)
    process.send_signal(signal.SIGINT)
    code, out, err = ended(process)
    assert (code, out) == (130, "")
    saved = f"The progress is saved in {checkpoint_path(output)}; the same command continues from there."
    assert err == f"Interrupted. {saved}\n"
    assert file_names(output) == {"all.factor.part"}
    assert ended(started(long, output))[0] == 0
    assert bits(Factor.load(output)) == bits(compress(long))


@pytest.mark.slow
def test_killed_again_and_again(long: Path, output: Path) -> None:
    assert killed(long, output, 4, 1) >= 2


def killed(rows: Path, output: Path, times: int, seed: int) -> int:
    """Kill the command at random moments, ``times`` times, then let it end. Return how often it was killed halfway."""
    whole = output.with_name("whole.factor")
    assert ended(started(rows, whole))[0] == 0
    expected, seeded, half_way, at = whole.read_bytes(), random.Random(seed), 0, -1
    for _ in range(times):
        process = started(rows, output)
        before = checkpoint_path(output).stat().st_mtime_ns if checkpoint_path(output).exists() else 0

        def moved(before: int = before) -> bool:
            path = checkpoint_path(output)
            return path.exists() and path.stat().st_mtime_ns != before

        if seeded.random() < 0.8:
            wait_for(moved, process)
        time.sleep(seeded.uniform(0, 0.06))
        process.kill()
        ended(process)
        if output.exists():
            assert output.read_bytes() == expected
            output.unlink()
        elif checkpoint_path(output).exists():
            half_way += at < (at := json.loads(str(np.load(checkpoint_path(output))["state"]))["done"])
    code, _, err = ended(started(rows, output))
    assert code == 0, err
    assert output.read_bytes() == expected
    left = {name for name in file_names(output) if not name.startswith(".")}
    assert left == {"all.factor", "whole.factor"}
    return half_way


@pytest.mark.slow
def test_a_limit_on_the_size_of_files(long: Path, output: Path) -> None:
    """The operating system's own refusal, in the middle of a file."""
    limited = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1500, 1500))  # noqa: E731
    code, out, err = ended(started(long, output, preexec_fn=limited))
    assert (code, out) == (2, "")
    assert "File too large" in err
    assert "Traceback" not in err
    assert "Exception ignored" not in err
    assert file_names(output) == set()
    assert ended(started(long, output))[0] == 0
