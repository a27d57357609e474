"""Opens every table of some rounds in DuckDB, pandas, polars and Hugging Face datasets, and compares the rows they find.

    pip install duckdb pandas pyarrow polars datasets
    python examples/open_everywhere.py data/runs/tiny/round-01 [data/runs/other/round-01 ...]

Of two rounds the tables have the same names: datasets finds each one's own rows by the name in its card.
"""

import sys
from pathlib import Path

import duckdb
import pandas
import polars
from datasets import load_dataset



def by_datasets(table):
    """How many rows there are, if they are those that pandas reads; a table without rows can only be streamed."""
    parts = pandas.read_parquet(table / "data")
    rows = load_dataset(str(table), split="train", streaming=len(parts) == 0)
    column = next(name for name in parts if name.endswith("_id"))
    found = [row[column] for row in rows]
    return len(found) if found == list(parts[column]) else -1


READERS = {
    "DuckDB": lambda table: duckdb.sql(f"SELECT count(*) FROM '{table}/data/*.parquet'").fetchall()[0][0],
    "pandas": lambda table: len(pandas.read_parquet(table / "data")),
    "polars": lambda table: polars.read_parquet(f"{table}/data/*.parquet").height,
    "datasets": by_datasets,
}

tables = sorted(path.parent for round_ in sys.argv[1:] for path in Path(round_).glob("*/data"))
wrong = 0
print(f"{'':20}" + "".join(f"{name:>10}" for name in READERS))
for table in tables:
    rows = [read(table) for read in READERS.values()]
    wrong += len(set(rows)) > 1
    print(f"{table.name:20}" + "".join(f"{count:10}" for count in rows))
sys.exit(wrong > 0 or not tables)
