"""How far `task::same` and PyPI's math-verify agree on mathematical answers, and where they do not.

    cargo build --release -p task --example same
    python examples/check_math_verify.py target/release/examples/same MATH500.jsonl

Needs `pip install math-verify==0.9.0 latex2sympy2_extended==1.11.0 antlr4-python3-runtime==4.13.2`, with which the
tables of docs/MATH.md were made. MATH500.jsonl has a column `answer`, and `solution` where there is one. Compared are:

- itself: every answer of MATH-500 with itself;
- solution: with what the last \\boxed of its solution holds, for the rows that have one;
- others: with the answers of other problems, every two that are written differently;
- pairs: crates/task/tests/fixtures/math_pairs.tsv, of which it is known what agrees.

math-verify is asked both ways, verify(parse(a), parse(b)) and verify(parse(b), parse(a)), since its first argument is
the reference and is trusted more. Each text is handed to it in \\boxed, as a completion has it.
"""

import itertools
import json
import logging
import subprocess
import sys
from collections import Counter
from pathlib import Path

from math_verify import parse, verify

PAIRS = Path(__file__).parent.parent / "crates/task/tests/fixtures/math_pairs.tsv"


def boxed(solution):
    """What the last complete \\boxed holds."""
    start = solution.rfind("\\boxed{")
    depth = 0
    for at in range(start + len("\\boxed"), len(solution)) if start >= 0 else []:
        depth += {"{": 1, "}": -1}.get(solution[at], 0)
        if depth == 0:
            return solution[start + len("\\boxed{") : at]
    return None


def groups(problems):
    answers = [row["answer"] for row in problems]
    yield "itself", [(answer, answer, True) for answer in answers]
    solved = [(row["answer"], boxed(row.get("solution") or "")) for row in problems]
    yield "solution", [(answer, box, True) for answer, box in solved if box is not None]
    yield "others", [(a, b, None) for a, b in itertools.combinations(sorted(set(answers)), 2)]
    rows = [line.split("\t") for line in PAIRS.read_text().splitlines()[1:]]
    yield "pairs", [(a, b, same == "yes") for a, b, same, _ in rows]


def ours(binary, pairs):
    lines = "".join(f"{a}\t{b}\n" for a, b, _ in pairs)
    done = subprocess.run([binary], input=lines, capture_output=True, text=True, check=True)
    return [line.split("\t")[0] == "same" for line in done.stdout.splitlines()]


def theirs(pairs, parsed={}):
    def read(answer):
        if answer not in parsed:
            parsed[answer] = parse(f"\\boxed{{{answer}}}")
        return parsed[answer]

    return [(verify(read(a), read(b)), verify(read(b), read(a))) for a, b, _ in pairs]


def main():
    binary, problems = sys.argv[1:]
    logging.disable(logging.CRITICAL)
    problems = [json.loads(line) for line in Path(problems).read_text().splitlines()]
    print(f"{'':10} {'pairs':>6} {'both same':>10} {'both not':>9} {'ours only':>10} {'theirs only':>12} {'one way':>8} {'ours wrong':>11} {'theirs wrong':>13}")
    disagreements = []
    for name, pairs in groups(problems):
        pairs = [(a.replace("\n", " "), b.replace("\n", " "), known) for a, b, known in pairs]
        count = Counter()
        for (a, b, known), mine, (forth, back) in zip(pairs, ours(binary, pairs), theirs(pairs), strict=True):
            count["one way"] += forth != back
            count["ours wrong"] += known is not None and mine != known
            count["theirs wrong"] += known is not None and forth != known
            count[mine, forth] += 1
            if mine != forth or forth != back or known not in (None, mine):
                word = {True: "same", False: "not", None: "?"}
                disagreements.append(f"{name}\t{a}\t{b}\tknown {word[known]}\tours {word[mine]}\ttheirs {word[forth]}, {word[back]}")
        cells = [(True, True), (False, False), (True, False), (False, True), "one way", "ours wrong", "theirs wrong"]
        widths = [10, 9, 10, 12, 8, 11, 13]
        print(f"{name:10} {len(pairs):>6}", *(f"{count[cell]:>{width}}" for cell, width in zip(cells, widths)))
    print(f"\n{len(disagreements)} disagreements")
    print("\n".join(disagreements))


main()
