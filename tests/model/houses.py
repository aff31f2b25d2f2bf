"""A table with every kind of column, and a formula for every kind of term."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

ROWS = 120
FORMULAS = (
    "price ~ size + rooms",
    "price ~ 0 + size + C(city)",
    "price ~ size * rooms + C(city) + log(age) + poly(year, 2)",
    "price ~ C(city, 'Seoul') * size + C(rooms)",
    "price ~ C(city, Sum) + C(city, Sum):size + garden",
    "price ~ C(city):C(garden) + sqrt(age) + abs(size - 100) + exp(size / 100)",
    "price ~ center(size) + scale(age) + I(size**2) + log2(age) + log10(age) + size:rooms:age",
    "price ~ year(sold) + month(sold) + weekday(sold) + days(sold, since='2020-01-31') + size**2",
    "price ~ time + C(city) + time:size",
    "log(price) ~ log(size) + C(log(rooms))",
    'price ~ `the "odd" name` + I(size / 3)',
)


def make_houses(rows: int = ROWS, seed: int = 0) -> Any:
    """A pyarrow table of houses; `time` is a clock in nanoseconds."""
    rng = np.random.default_rng(seed)
    cities = rng.choice(["Seoul", "Busan", 'Jeju\'s "isle"', "대구\n광역시"], rows)
    size, age = rng.normal(100, 25, rows), rng.uniform(1, 50, rows)
    time = 1_700_000_000_000_000_000 + np.sort(rng.integers(0, 10**12, rows))
    level = {"Seoul": 50.0, "Busan": 10.0}
    price = 200 + 2 * size + np.array([level.get(city, 0.0) for city in cities]) - age + rng.normal(0, 5, rows)
    return pa.table(
        {
            "size": size,
            "rooms": rng.integers(1, 6, rows),
            "city": cities,
            "age": age,
            "year": rng.integers(1960, 2024, rows),
            "garden": rng.random(rows) < 0.5,
            "sold": pa.array(np.datetime64("2021-03-01T10:30:00") + 60 * rng.integers(0, 10**6, rows)),
            "time": time,
            'the "odd" name': rng.normal(0, 1, rows),
            "price": price + (time - time[0]) / 1e11,
        }
    )
