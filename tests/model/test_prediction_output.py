"""Prediction files: the same numbers in every format, columns kept, nothing half when something fails."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import feather, parquet

import descentlab as dl
from descentlab.data import source, tables
from descentlab.model import prediction_output
from tests.model.houses import make_houses

HOUSES = make_houses(1000)
MODEL = dl.Problem(HOUSES, formula="price ~ size + C(city)").solve().model
READERS = {".csv": pd.read_csv, ".parquet": pd.read_parquet, ".arrow": feather.read_feather}


@pytest.mark.parametrize("suffix", READERS)
def test_every_format_holds_every_bit(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"predicted{suffix}"
    assert MODEL.predict_file(HOUSES, path, interval=0.9, keep=["rooms", "city"]) == ()
    written = READERS[suffix](path)
    expected = MODEL.predict(HOUSES, interval=0.9)
    assert list(written.columns) == ["rooms", "city", "prediction", "lower", "upper"]
    assert written["city"].tolist() == HOUSES["city"].to_pylist()
    for name, column in expected._asdict().items():
        assert written[name].to_numpy().tobytes() == column.tobytes()


def test_pieces_and_small_tables_give_the_same_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = tmp_path / "rows.parquet"
    parquet.write_table(HOUSES, rows, row_group_size=100)
    one, many = tmp_path / "one.parquet", tmp_path / "many.parquet"
    MODEL.predict_file(rows, one)
    for module in (source, tables):
        monkeypatch.setattr(module, "BLOCK_ROWS", 7)
    monkeypatch.setattr(prediction_output, "PIECE_ROWS", 50)
    monkeypatch.setattr("descentlab.data.files.PIECE_ROWS", 100)
    MODEL.predict_file(rows, many)
    assert parquet.read_table(one).equals(parquet.read_table(many))
    assert parquet.ParquetFile(many).num_row_groups > 10


def test_a_missing_value_in_a_single_column_does_not_shorten_the_file(tmp_path: Path) -> None:
    path = tmp_path / "predicted.csv"
    (notice,) = MODEL.predict_file(pa.table({"size": [1.0, None, 3.0], "city": ["Seoul"] * 3}), path)
    assert "1 row of 3 without a prediction" in notice.text("en")
    assert np.isnan(pd.read_csv(path)["prediction"]).tolist() == [False, True, False]


def test_no_rows_make_an_empty_file(tmp_path: Path) -> None:
    path = tmp_path / "predicted.parquet"
    MODEL.predict_file(HOUSES.slice(0, 0), path)
    assert parquet.read_table(path).num_rows == 0


def test_a_failure_leaves_the_earlier_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, bad = tmp_path / "predicted.csv", tmp_path / "bad.csv"
    path.write_text("earlier")
    bad.write_text("size,city\n" + "1,Seoul\n" * 10 + "2,Paris\n")
    with pytest.raises(dl.DataError, match="line 12"):
        MODEL.predict_file(bad, path)

    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(prediction_output, "_to_table", interrupted)
    with pytest.raises(KeyboardInterrupt):
        MODEL.predict_file(HOUSES, path)
    assert path.read_text() == "earlier"
    assert sorted(each.name for each in tmp_path.iterdir()) == ["bad.csv", "predicted.csv"]


def test_columns_that_cannot_be_kept(tmp_path: Path) -> None:
    path = tmp_path / "predicted.csv"
    with pytest.raises(dl.DataError, match="Did you mean `rooms`"):
        MODEL.predict_file(HOUSES, path, keep=["room"])
    with pytest.raises(dl.SettingError, match="prediction"):
        MODEL.predict_file(HOUSES.append_column("prediction", HOUSES["size"]), path, keep=["prediction"])
    with pytest.raises(dl.SettingError, match=r"\.parquet"):
        MODEL.predict_file(HOUSES, tmp_path / "predicted.xlsx")


def test_identifiers_beyond_2_to_the_53_are_kept_exactly(tmp_path: Path) -> None:
    rows, path = tmp_path / "rows.csv", tmp_path / "predicted.csv"
    ids = [2**60 + i for i in range(4)]
    rows.write_text("id,size,city\n" + "".join(f"{i},100,Seoul\n" for i in ids))
    MODEL.predict_file(rows, path, keep=["id"])
    assert pd.read_csv(path)["id"].tolist() == ids
