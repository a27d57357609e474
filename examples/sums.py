"""How many greedy solutions of an evaluation have every sum right, and how many of those the right answer.

    python examples/sums.py data/runs/tiny/round-00/evaluation data/runs/tiny/round-01/evaluation

Needs pyarrow. The first share speaks of arithmetic, the second of logic.
"""

import ast
import operator
import re
import sys
from pathlib import Path

import pyarrow.parquet as parquet

CLAIM = re.compile(r"([\d.,]+(?:\s*[-+*/]\s*[\d.,]+)+)\s*=\s*\$?([\d.,]+)")
OPERATORS = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv}
COLUMNS = ["split", "decoder", "completion", "correct"]


def value(node):
    if isinstance(node, ast.BinOp):
        return OPERATORS[type(node.op)](value(node.left), value(node.right))
    return node.value


def holds(claim):
    left, right = (text.replace(",", "").rstrip(".") for text in claim)
    try:
        # Results are rounded to cents.
        return abs(value(ast.parse(left, mode="eval").body) - float(right)) < 0.011
    except (SyntaxError, ValueError, ZeroDivisionError):
        return None


def clean(solution):
    found = [holds(claim) for claim in CLAIM.findall(solution or "")]
    decided = [one for one in found if one is not None]
    return bool(decided) and all(decided)


def share(part):
    part = list(part)
    return f"{sum(part) / len(part):.3f}" if part else "-"


def main():
    for directory in sys.argv[1:]:
        parts = [parquet.read_table(path, columns=COLUMNS) for path in sorted(Path(directory, "data").glob("*.parquet"))]
        rows = [row for part in parts for row in part.to_pylist() if row["decoder"] == "greedy"]
        for split in dict.fromkeys(row["split"] for row in rows):
            judged = [(clean(row["completion"]), row["correct"]) for row in rows if row["split"] == split]
            print(
                f"{directory} {split}: {len(judged)} solutions, right {share(right for _, right in judged)},",
                f"clean {share(sums for sums, _ in judged)},",
                f"right if clean {share(right for sums, right in judged if sums)}",
            )


main()
