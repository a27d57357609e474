"""What could be picked of the solutions that a search found: for analysis only, on problems whose answers are known and
that nothing learns from.

    python examples/votes.py TRAJECTORIES PROBLEMS

Needs pyarrow. Both are folders that stages wrote; search with a large trajectories_per_prompt, so that all is written.
Printed are the distinct solutions of a problem, and the shares of problems for which one of them is right, the one with
the highest outcome reward, and the vote by outcome reward times the policy's probability to several powers.
"""

import math
import sys
from collections import defaultdict
from pathlib import Path

import pyarrow.parquet as parquet

POWERS = [0.0, 0.25, 0.5, 1.0]


def rows(directory):
    for path in sorted(Path(directory, "data").glob("*.parquet")):
        yield from parquet.read_table(path).to_pylist()


def elected(solutions, power):
    votes = defaultdict(float)
    for one in solutions:
        if one["answer"] is not None and one["finished"]:
            votes[one["answer"]] += one["reward"] * math.exp(power * one["logprob"])
    return max(votes, key=votes.get) if votes else None


def main():
    trajectories, problems = sys.argv[1:]
    truth = {row["prompt_id"]: row["answer"] for row in rows(problems)}
    found = {problem: {} for problem in truth}
    for row in rows(trajectories):
        found[row["prompt_id"]].setdefault(row["completion"], row)

    def share(right):
        return f"{sum(right(list(all.values()), truth[problem]) for problem, all in found.items()) / len(found):.3f}"

    print("distinct", f"{sum(map(len, found.values())) / len(found):.1f}")
    print("any right", share(lambda all, answer: any(one["answer"] == answer for one in all)))
    best = lambda all: max(all, key=lambda one: one["reward"])["answer"] if all else None
    print("best outcome", share(lambda all, answer: best(all) == answer))
    for power in POWERS:
        print(f"vote, likelihood to the {power}:", share(lambda all, answer: elected(all, power) == answer))


main()
