"""How much one decoder of evaluations has over another, and how sure that is: the exact test by random signs of each problem's
sum over the evaluations, which are those of several seeds.

    python examples/decoders.py 'mcts-vote@5-merge' 'mcts-vote@4-rollouts' data/runs/tiny-seed*/round-00/ablation-test

Needs pyarrow. `evaluate report` pairs models, and other decoders with greedy and
searches with samples that are picked from in their way; this pairs any two decoders of a model.
"""

import sys
from collections import Counter, defaultdict
from pathlib import Path

import pyarrow.parquet as parquet

COLUMNS = ["split", "prompt_id", "decoder", "correct"]


def answers(directory, decoder):
    table = parquet.read_table(Path(directory, "data"), columns=COLUMNS).to_pylist()
    return {(row["split"], row["prompt_id"]): row["correct"] for row in table if row["decoder"] == decoder}


def random_signs(sums):
    chances = {0: 1.0}
    for step in filter(None, sums):
        moved = defaultdict(float)
        for total, chance in chances.items():
            moved[total + step] += chance / 2
            moved[total - step] += chance / 2
        chances = moved
    found = abs(sum(sums))
    return sum(chance for total, chance in chances.items() if abs(total) >= found)


def main():
    one, other, *directories = sys.argv[1:]
    sums, pairs = Counter(), 0
    for directory in directories:
        first, second = answers(directory, one), answers(directory, other)
        for problem in first.keys() & second.keys():
            sums[problem] += first[problem] - second[problem]
            pairs += 1
    if not pairs:
        sys.exit(f"no problem was answered by both {one} and {other}")
    gain = 100 * sum(sums.values()) / pairs
    print(f"{one} over {other}: {gain:+.1f} points, {pairs} pairs, p = {random_signs(sums.values()):.1e}")


if __name__ == "__main__":
    main()
