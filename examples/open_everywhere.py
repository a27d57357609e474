"""Opens every table of a round in DuckDB, pandas, polars and Hugging Face datasets, and compares the rows they find.

    pip install duckdb pandas pyarrow polars datasets
    python examples/open_everywhere.py data/runs/tiny/round-01
"""

import sys
from pathlib import Path

import duckdb
import pandas
import polars
from datasets import load_dataset

READERS = {
    "DuckDB": lambda table: duckdb.sql(f"SELECT count(*) FROM '{table}/data/*.parquet'").fetchall()[0][0],
    "pandas": lambda table: len(pandas.read_parquet(table / "data")),
    "polars": lambda table: polars.read_parquet(f"{table}/data/*.parquet").height,
    "datasets": lambda table: load_dataset(str(table), split="train").num_rows,
}

tables = sorted(path.parent for path in Path(sys.argv[1]).glob("*/data"))
wrong = 0
print(f"{'':20}" + "".join(f"{name:>10}" for name in READERS))
for table in tables:
    rows = [read(table) for read in READERS.values()]
    wrong += len(set(rows)) > 1
    print(f"{table.name:20}" + "".join(f"{count:10}" for count in rows))
sys.exit(wrong > 0 or not tables)
