"""The built-in data sets."""

from __future__ import annotations

from dataclasses import dataclass

RowTuples = tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class Dataset:
    """A small named table; each row has the features in order, then the target."""

    name: str
    features: tuple[str, ...]
    target: str
    rows: RowTuples
    source: str

    @property
    def X(self) -> list[list[float]]:  # noqa: N802 (the name it has in every formula)
        return [list(row[:-1]) for row in self.rows]

    @property
    def y(self) -> list[float]:
        return [row[-1] for row in self.rows]

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """The rows as a table with named columns, which :class:`descentlab.Problem` accepts."""
        import pyarrow as pa

        columns = map(list, zip(*self.rows, strict=True))
        table = pa.table(dict(zip((*self.features, self.target), columns, strict=True)))
        return table.__arrow_c_stream__(requested_schema)


LESSON = Dataset("lesson", ("x",), "y", ((1, 1), (2, 2), (3, 3)), "three rows on the line y = x")

EXAM_SCORES = Dataset(
    "exam-scores",
    ("exam1", "exam2", "exam3"),
    "final",
    ((73, 80, 75, 152), (93, 88, 93, 185), (89, 91, 90, 180), (96, 98, 100, 196), (73, 66, 70, 142)),
    "the five students of a widely taught first course in several features",
)

LONGLEY = Dataset(
    "longley",
    ("deflator", "gnp", "unemployed", "armed_forces", "population", "year"),
    "employed",
    (
        (83.0, 234289, 2356, 1590, 107608, 1947, 60323),
        (88.5, 259426, 2325, 1456, 108632, 1948, 61122),
        (88.2, 258054, 3682, 1616, 109773, 1949, 60171),
        (89.5, 284599, 3351, 1650, 110929, 1950, 61187),
        (96.2, 328975, 2099, 3099, 112075, 1951, 63221),
        (98.1, 346999, 1932, 3594, 113270, 1952, 63639),
        (99.0, 365385, 1870, 3547, 115094, 1953, 64989),
        (100.0, 363112, 3578, 3350, 116219, 1954, 63761),
        (101.2, 397469, 2904, 3048, 117388, 1955, 66019),
        (104.6, 419180, 2822, 2857, 118734, 1956, 67857),
        (108.4, 442769, 2936, 2798, 120445, 1957, 68169),
        (110.8, 444546, 4681, 2637, 121950, 1958, 66513),
        (112.6, 482704, 3813, 2552, 123366, 1959, 68655),
        (114.2, 502601, 3931, 2514, 125368, 1960, 69564),
        (115.7, 518173, 4806, 2572, 127852, 1961, 69331),
        (116.9, 554894, 4007, 2827, 130081, 1962, 70551),
    ),
    "J. W. Longley, JASA 62 (1967) 819-841: employment in the United States 1947-1962; certified by NIST StRD",
)

DATASETS = {data.name: data for data in (LESSON, EXAM_SCORES, LONGLEY)}
