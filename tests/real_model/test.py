"""A round with a real pretrained model, SmolLM2-135M-Instruct: adapters, own solutions of seeds, and a control that samples them.

    make test-real

The questions are ours, and easy: the model is small.
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pyarrow.parquet as parquet

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
BIN = Path(sys.argv[1]).resolve()

QUESTIONS = [
    ("Ada has 3 bags with 4 marbles each. How many marbles does Ada have?", 12),
    ("Ben buys 2 pens for $5 each. How many dollars does Ben pay?", 10),
    ("A shelf has 20 books. Cleo takes 6 of them. How many books are left?", 14),
    ("Dan runs 5 miles a day. How many miles does Dan run in 4 days?", 20),
    ("Eva has 8 apples and buys 7 more apples. How many apples does Eva have?", 15),
    ("A box has 6 rows with 3 eggs each. How many eggs are in the box?", 18),
    ("Finn saves $4 a week. How many dollars does Finn save in 6 weeks?", 24),
    ("Gus has 30 stamps and gives 12 stamps away. How many stamps are left?", 18),
]
HELD_OUT = [
    ("Hana has 5 boxes with 3 toys each. How many toys does Hana have?", 15),
    ("Ivo has 16 nuts and eats 9 nuts. How many nuts are left?", 7),
]
TESTED = [
    ("Jan buys 4 cups for $3 each. How many dollars does Jan pay?", 12),
    ("Kim has 11 coins and finds 6 more coins. How many coins does Kim have?", 17),
    ("Leo reads 7 pages a day. How many pages does Leo read in 3 days?", 21),
]


def write(path, problems):
    lines = [json.dumps({"question": question, "answer": f"#### {answer}"}) for question, answer in problems]
    path.write_text("\n".join(lines) + "\n")


def rows(dataset, *columns):
    return parquet.read_table(dataset / "data", columns=list(columns)).to_pylist()


def main():
    with tempfile.TemporaryDirectory() as place:
        place = Path(place)
        model, data, run = place / "model", place / "data", place / "run"
        subprocess.run([sys.executable, HERE / "model.py", model], check=True)
        data.mkdir()
        for split, problems in [("seeds", QUESTIONS), ("validation", HELD_OUT), ("test", TESTED)]:
            write(data / f"{split}.jsonl", problems)
        begun = time.monotonic()
        subprocess.run(
            ["make", "--no-print-directory", "round", "BUILD=:", f"BIN={BIN}", "PRESET=laptop-gsm8k", f"P={HERE / 'preset'}",
             f"R={run}", f"INIT={model}", f"DATA={data}", "SPLITS=test", "ONE_CLASS=1"], cwd=ROOT, check=True)
        labels = rows(run / "round-00/labels", "outcome", "split")
        right = sum(label["outcome"] for label in labels)
        record = json.loads((run / "round-01/control/training.json").read_text())
        print(f"{right:.0f} of {len(labels)} different solutions are right; {time.monotonic() - begun:.0f} s for the round")
        # A model that is read wrongly solves nothing.
        assert right >= 5, right
        assert record["examples"] > 0, record
        for folder in ["round-00/critics/all", "round-01/policy", "round-01/control"]:
            size = sum(file.stat().st_size for file in (run / folder).glob("*") if file.is_file())
            assert (run / folder / "adapter_model.safetensors").exists() and size < 64 << 20, (folder, size)
        assert (run / "round-01/comparison.json").exists()


main()
