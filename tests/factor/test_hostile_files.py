"""Factor files that somebody made to harm: refused by name, before anything large is read."""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from descentlab import DataError, Factor, Problem, compress
from descentlab.factor import archive
from descentlab.factor.factor import FACTOR_FORMAT

FACTOR = Problem([1, 2, 3], [2, 4, 7]).factor
TABLE = pa.table({"a": [1, 2, 3, 4], "c": ["u", "v", "u", "v"], "y": [1, 3, 2, 5]})
FORMULA_FACTOR = compress(TABLE, formula="y ~ scale(a) + C(c)")


def rewritten(compression: int = zipfile.ZIP_STORED, **extra: bytes) -> bytes:
    """The bytes of a factor file with more members."""
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(FACTOR.to_bytes())) as source, zipfile.ZipFile(stream, "w", compression) as target:
        for name in source.namelist():
            target.writestr(name, source.read(name))
        for name, content in extra.items():
            target.writestr(f"{name}.npy", content)
    return stream.getvalue()


def header(shape: tuple[int, ...], descr: str = "<f8") -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": descr, "fortran_order": False, "shape": shape})
    return stream.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        rewritten(zipfile.ZIP_DEFLATED, bomb=header((1 << 20,)) + bytes(8 << 20)),
        rewritten(zipfile.ZIP_DEFLATED),
        rewritten(huge=header((1 << 40,))),
        rewritten(long=header((2,)) + bytes(800)),
        rewritten(objects=header((1,), "|O") + bytes(8)),
        rewritten(nothings=header((1 << 40,), "|V0")),
        rewritten(empty=header((1 << 40, 0))),
        rewritten(text=header((1,), "<U1") + b"\xff" * 4),
    ],
    ids=[
        *("zip bomb", "compressed", "a shape without values", "values without a shape", "objects"),
        *("values without bytes", "rows without values", "no characters"),
    ],
)
def test_members_that_do_not_fit_are_refused_before_they_are_read(
    content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []
    monkeypatch.setattr(archive, "checksum", lambda fields: read.append(len(fields)))
    with pytest.raises(DataError, match="not a complete factor file"):
        Factor.from_bytes(content)
    assert not read


def nonsense(**changes: Any) -> bytes:
    return archive.pack_arrays(FACTOR_FORMAT, FACTOR.to_arrays() | changes)


R = FACTOR.R_centered


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("centred", np.full_like(R, np.nan)),
        ("centred", R + np.tril(np.ones_like(R), -1)),
        ("centred", -R),
        ("centred", R[:2, :2]),
        ("origin", np.array([np.inf, 0.0])),
        ("origin", np.zeros(3)),
        ("rounding", np.array([-1.0, 0.0])),
        ("rounding", np.array([np.nan, 0.0])),
        ("rows", np.array(-1)),
        ("weight", np.array(7.0)),
        ("weight", np.array(np.nan)),
        ("columns", np.array(["x", "x"])),
        ("columns", np.array(["x", ""])),
        ("shifted", np.array([True])),
        ("rows", np.array(3.7)),
        ("rows", np.array("3")),
        ("columns", np.array([1, 2])),
        ("columns", np.array(["x", "\ud800"])),
        ("centred", R.astype(str)),
        ("centred", R * np.array([1, 1e160, 1])),
        ("origin", np.array([1e200, 0.0])),
    ],
)
def test_nonsense_with_a_valid_checksum_is_refused_by_the_name_of_its_field(field: str, value: Any) -> None:
    assert Factor.from_bytes(nonsense()).rows == 3
    with pytest.raises(DataError, match=f"its field `{field}` cannot be that of a factor"):
        Factor.from_bytes(nonsense(**{field: value}))


def test_a_factor_without_columns_and_one_without_a_field_are_refused() -> None:
    none = {"columns": np.array([], dtype="U1"), "centred": R[:1, :1], "origin": np.zeros(0), "rounding": np.zeros(0)}
    with pytest.raises(DataError, match="`columns`"):
        Factor.from_bytes(nonsense(**none))
    arrays = FACTOR.to_arrays()
    del arrays["origin"]
    with pytest.raises(DataError, match="`origin`"):
        Factor.from_bytes(archive.pack_arrays(FACTOR_FORMAT, arrays))


def with_design(text: str) -> bytes:
    return archive.pack_arrays(FACTOR_FORMAT, FORMULA_FACTOR.to_arrays() | {"design": np.array(text)})


def changed_design(**changes: Any) -> str:
    assert FORMULA_FACTOR.design is not None
    return json.dumps(FORMULA_FACTOR.design.to_dict() | changes)


@pytest.mark.parametrize(
    "text",
    [
        changed_design(terms=["C(p):C(q):C(r)"], levels={key: list(range(3000)) for key in "pqr"}),
        changed_design(levels={}),
        changed_design(levels={"c": ["u", "u"]}),
        changed_design(levels={"c": ["u", float("inf")]}),
        changed_design(constants={"scale(a)": {"mean": 2.5, "divisor": 0.0}}),
        changed_design(constants={"scale(a)": {"mean": float("nan"), "divisor": 1.0}}),
        changed_design(constants={"scale(a)": {"mean": 10**400, "divisor": 1.0}}),
        changed_design(bias="no"),
        changed_design(version=float("nan")),
        changed_design(target="y" + "+y" * 3000),
        "[" * 100_000,
    ],
    ids=[
        *("2.7e10 columns", "no levels", "a level twice", "an infinite level", "divisor 0", "mean NaN", "a huge mean"),
        *("a bias in words", "a version NaN", "a long target", "brackets"),
    ],
)
def test_a_design_that_is_none_is_refused(text: str) -> None:
    assert Factor.from_bytes(with_design(changed_design())).rows == 4
    with pytest.raises(DataError, match="cannot be that of a factor") as caught:
        Factor.from_bytes(with_design(text))
    assert str(caught.value).count("`") in (0, 2)
