"""Sample data of the size of a real run, and the report that the template makes of it.

    python tests/report/sample.py FOLDER    writes report.html, empty.html and sparse.html there
"""

import json
import math
import random
import sys
from pathlib import Path

import minijinja

ASSETS = Path(__file__).resolve().parents[2] / "crates/report/assets"
RANDOM = random.Random(1)
NAMES = "Ana Ben Carla Deniz Emil Farah Goran Hana Ivan Jun Kofi Lena Mats Nora Omar Pia".split()
THINGS = "apples marbles stamps books shells cards pencils eggs tickets bottles".split()
COLUMNS = ("node_id parent_id depth text tokens logprob visits q simulations score value prm orm rollouts importance width merged "
           "terminal stop_reason").split()
MODELS = ["base", "control", "round 1", "round 2"]
SPLITS = ["test", "ood-templates", "ood-chains"]
DECODERS = ["greedy", "sample-vote", "mcts-greedy", "mcts-global", "mcts-rerank", "mcts-vote"]
REASONS = ["the calculator found a mistake", "confidence below 0.6", "not finished", "a copy of a kept solution",
           "other solutions of the prompt rank higher"]
# What a model could write to attack a page that does not escape.
HOSTILE = ('</script><script>window.pwned = 1</script><img src=x onerror="window.pwned = 1"> '
           '{{ 7 * 7 }} \u202egnorw\u202c & "quotes" ' + "long" * 60)


def problem(steps=None):
    """A question and its steps: (expression, result)."""
    name, other, thing = *RANDOM.sample(NAMES, 2), RANDOM.choice(THINGS)
    total = RANDOM.randint(3, 30)
    parts, chain = [f"{name} has {total} {thing}."], []
    for _ in range(steps or RANDOM.randint(2, 4)):
        n = RANDOM.randint(2, 9)
        kind = RANDOM.choice("+-*")
        if kind == "-" and total <= n:
            kind = "+"
        parts.append({"+": f"{other} gives {name} {n} more.", "-": f"Then {name} loses {n} of them.",
                      "*": f"Then {name} gets {n} times as many."}[kind])
        new = {"+": total + n, "-": total - n, "*": total * n}[kind]
        chain.append((f"{total} {kind} {n}", new))
        total = new
    parts.append(f"How many {thing} does {name} have now?")
    return " ".join(parts), chain, total


def written(chain, wrong_at=None):
    """The lines of a solution, its answer and the calculator's findings; the step `wrong_at` has a slip."""
    lines, checks, shift = [], [], 0
    for i, (expression, result) in enumerate(chain):
        claimed = result + shift
        if i == wrong_at:
            shift = RANDOM.choice([-10, -2, -1, 1, 2, 10])
            claimed = result + shift
        lines.append(f"{expression} = {claimed}\n")
        checks.append({"expression": expression, "claimed": str(claimed), "computed": str(result), "ok": claimed == result})
    answer = str(chain[-1][1] + shift)
    lines.append(f"#### {answer}\n")
    return lines, answer, checks


def wilson(p, n):
    z = 1.96
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return round(100 * (middle - half), 2), round(100 * (middle + half), 2)


def noisy(x, spread=0.1):
    return round(min(0.999, max(0.001, x + RANDOM.gauss(0, spread))), 4)


def tree(question, chain, size):
    """A tree of about `size` nodes: options are right steps, or slips that the critics like less."""
    rows = [[0, None, 0, "", 0, None, 0, None, [], None, noisy(0.6), None, None, 0, 0.3, 5, 0, False, None]]
    good, leaves = [0], []
    texts, parents, right = {0: []}, {0: None}, {0: True}
    while len(rows) < size:
        parent = RANDOM.choice(good[-12:])
        depth = rows[parent][2] + 1
        ok = right[parent] and RANDOM.random() < 0.72
        last = depth == len(chain) + 1 or (size > 200 and depth > 3 and RANDOM.random() < 0.3)
        if last:
            answer = chain[-1][1] if right[parent] else chain[-1][1] + RANDOM.randint(1, 9)
            text, ok = f"#### {answer}\n", right[parent]
        else:
            expression, result = chain[(depth - 1) % len(chain)]
            text = f"{expression} = {result if ok else result + RANDOM.choice([-10, -1, 1, 2])}\n"
            if RANDOM.random() < 0.15:
                text = f"So we work out {text}"
        node = len(rows)
        base = 0.75 if ok else 0.3
        score = noisy(base)
        rows.append([node, parent, depth, text, len(text) // 2 + 3, round(-RANDOM.expovariate(1.2), 3), 1, score, [node - 1], score,
                     None if RANDOM.random() < 0.05 else noisy(base), noisy(base), noisy(base) if RANDOM.random() < 0.9 else None,
                     0 if last else 1, noisy(0.25), RANDOM.choice([4, 4, 5, 6]), RANDOM.choice([0, 0, 0, 1, 2]), last,
                     "end" if last else "newline"])
        texts[node], parents[node], right[node] = texts[parent] + [text], parent, ok
        leaves.append(node) if last else good.append(node)
        while parent is not None:
            visits, q = rows[parent][6], rows[parent][7] or 0
            rows[parent][6], rows[parent][7] = visits + 1, (visits * q + score) / (visits + 1)
            parent = parents[parent]
    solutions = []
    for rank, leaf in enumerate(leaves[:12]):
        answer = texts[leaf][-1].split()[-1]
        checks = []
        for line in texts[leaf][:-1]:
            left, claimed = line.replace("So we work out ", "").strip().split(" = ")
            a, sign, b = left.split()
            computed = str({"+": int(a) + int(b), "-": int(a) - int(b), "*": int(a) * int(b)}[sign])
            checks.append({"expression": left, "claimed": claimed, "computed": computed, "ok": computed == claimed})
        sound = all(check["ok"] for check in checks)
        kept = sound and rank < 3
        why = None if kept else REASONS[0] if not sound else RANDOM.choice(REASONS[1:])
        solutions.append({"leaf_id": leaf, "decoder": RANDOM.choice(["mcts", "rollout"]), "rank": rank, "answer": answer,
                          "score": noisy(0.7), "value": noisy(0.7), "orm": noisy(0.7), "agreement": noisy(0.5), "kept": kept,
                          "why": why, "checks": checks})
    answers = [s["answer"] for s in solutions]
    vote = max(sorted(set(answers)), key=answers.count) if answers else None
    picks = {"mcts-vote": vote, "mcts-greedy": RANDOM.choice(answers or [None]), "mcts-global": vote,
             "mcts-rerank": RANDOM.choice(answers or [None])}
    return {"question": question, "vote_likelihood": 0.25, "columns": COLUMNS, "nodes": rows, "solutions": solutions, "picks": picks}


def prompts_and_trees(trees=300, more=300):
    prompts, out = [], []
    for i in range(trees + more):
        question, chain, _ = problem()
        size = 1000 if i == 1 else RANDOM.randint(10, 60)
        one = tree(question + (" " + HOSTILE if i == 2 else ""), chain * 4 if i == 1 else chain, size)
        if i == 2:
            one["nodes"][1][3] = HOSTILE + "\n"
        answers = [s["answer"] for s in one["solutions"]]
        kept = sum(s["kept"] for s in one["solutions"])
        dropped = next((s["why"] for s in one["solutions"] if not s["kept"]), "no finished solution") if not kept else None
        vote = one["picks"]["mcts-vote"]
        prompts.append({"id": f"p{i:04}-{RANDOM.getrandbits(32):08x}", "round": 1 + i % 2, "question": one["question"],
                        "operator": ["mutate", "fresh", "combine"][i % 3], "nodes": size, "solutions": len(answers),
                        "answers": sorted(set(answers)),
                        "vote": {"answer": vote, "share": answers.count(vote) / len(answers)} if vote else None,
                        "greedy": RANDOM.choice(answers or [None]), "kept": kept, "dropped": dropped, "has_tree": i < trees})
        if i < trees:
            out.append({"id": prompts[-1]["id"], "json": embedded(one)})
    return prompts, out


def problems(count=300):
    out = []
    for i in range(count):
        question, chain, total = problem()
        outcomes = {}
        for model, share in zip(MODELS, [0.65, 0.7, 0.78, 0.85]):
            lines, answer, _ = written(chain, None if RANDOM.random() < share else RANDOM.randrange(len(chain)))
            outcomes[model] = {"answer": answer, "correct": answer == str(total), "text": "".join(lines), "decoder": "greedy"}
        if i == 0:
            outcomes["round 1"]["text"] = HOSTILE
        out.append({"id": f"{SPLITS[i % 3]}-{i:04}", "split": SPLITS[i % 3], "question": question, "target": str(total), "outcomes": outcomes})
    return out


def accuracies():
    rows = []
    for s, split in enumerate(SPLITS):
        for d, decoder in enumerate(DECODERS):
            n = 1000 if decoder == "greedy" else 100
            for m, model in enumerate(MODELS):
                p = round(0.66 + 0.05 * m - 0.15 * s + 0.02 * d + RANDOM.gauss(0, 0.02), 3)
                low, high = wilson(p, n)
                gap = round(5 * (m - 1) + RANDOM.gauss(0, 1), 2)
                half = 2.5 if n == 1000 else 8
                against = None if model == "control" else {"points": gap, "low": gap - half, "high": gap + half,
                                                           "p": math.exp(-3 * abs(gap) / half)}
                rows.append({"split": split, "decoder": decoder, "model": model, "n": n, "accuracy": 100 * p, "low": low, "high": high,
                             "tokens": 54.5 if d == 0 else 110 + 8 * m, "against_control": against})
    return rows


def curves():
    out = []
    for s, split in enumerate(SPLITS):
        for m, model in enumerate(MODELS):
            points = []
            at = [("greedy", 54, 0)] + [(f"sample-vote@{k}", 54 * k, 0.03 * math.log2(k)) for k in (2, 4, 8, 16)]
            at += [(f"best-of-n@{k}", 54 * k, 0.025 * math.log2(k)) for k in (2, 4, 8, 16)]
            at += [(f"mcts-vote@{k}", 15 * k, 0.045 * math.log2(k / 3)) for k in (8, 16, 32, 64)]
            at += [(name, 120, gain) for name, gain in (("mcts-greedy", 0.06), ("mcts-global", 0.07), ("mcts-rerank", 0.07))]
            for decoder, tokens, gain in at:
                p = round(min(0.97, 0.66 + 0.05 * m - 0.15 * s + gain), 3)
                low, high = wilson(p, 200)
                points.append({"decoder": decoder, "tokens": tokens * 1.02, "accuracy": 100 * p, "low": low, "high": high})
            out.append({"split": split, "model": model, "points": points})
    return out


def critics():
    out = []
    for round_ in (0, 1, 2):
        for power, head in ((2.2, "value"), (2.8, "prm"), (4.5 - round_, "orm")):
            calibration = [{"said": 0.05 + 0.1 * b, "right": noisy(0.05 + 0.1 * b, 0.06), "n": 40 + 50 * b} for b in range(10)]
            roc = [[round(x, 4), round(x ** (1 / power), 4)] for x in [(i / 50) ** 2 for i in range(51)]]
            out.append({"head": head, "round": round_, "n": 3000, "auc": power / (1 + power), "within_prompt": power / (1 + power) - 0.08,
                        "ece": 0.03, "calibration": calibration, "roc": roc})
    out[-1]["within_prompt"] = None
    return out


def costs():
    rows = [("round 0: finetune policy", 210, 0, 3_450_000, 18.6), ("round 0: critics", 95, 812_000, 1_600_000, 10.2)]
    for k in (1, 2):
        rows += [(f"round {k}: synthesize", 42, 240_000, 0, 0.4), (f"round {k}: search", 388 + 20 * k, 4_100_000, 0, 7.7),
                 (f"round {k}: critique", 31, 0, 0, 2.1), (f"round {k}: filter", 0.6, 0, 0, None),
                 (f"round {k}: finetune", 160, 0, 2_400_000, 13), (f"round {k}: evaluate", 120, 700_000, 0, 1.3)]
    return [dict(zip(("stage", "seconds", "generated", "trained", "tflop"), row)) for row in rows]


def provenance():
    rows, made = [], {}
    order = [("world/seeds", "synthesize", []), ("round-0/policy", "finetune", ["world/seeds"]),
             ("round-0/critics", "finetune", ["world/seeds", "round-0/policy"])]
    for k in (1, 2):
        before = f"round-{k - 1}/policy"
        order += [(f"round-{k}/prompts", "synthesize", ["world/seeds", before]),
                  (f"round-{k}/search", "search", [f"round-{k}/prompts", before, "round-0/critics"]),
                  (f"round-{k}/critiques", "critique", [f"round-{k}/search", "round-0/critics"]),
                  (f"round-{k}/filtered", "filter", [f"round-{k}/prompts", f"round-{k}/search", f"round-{k}/critiques"]),
                  (f"round-{k}/policy", "finetune", [before, "world/seeds", f"round-{k}/filtered"]),
                  (f"round-{k}/evaluation", "evaluate", [f"round-{k}/policy", "round-0/critics"])]
    for output, tool, inputs in order:
        made[output] = f"{RANDOM.getrandbits(256):064x}"
        rows.append({"output": output, "tool": tool, "version": "0.9.0", "revision": "3f1c9a7", "seed": 1,
                     "recipe": f"{RANDOM.getrandbits(256):064x}", "content": made[output],
                     "inputs": [{"name": i.split("/")[-1], "path": f"data/runs/tiny/{i}", "content": made[i]} for i in inputs]})
    return rows


def full():
    prompts, trees = prompts_and_trees()
    filters = [{"round": k, "searched": 1500, "solutions": 9840 + k, "kept_prompts": 1104, "kept": 1990,
                "dropped": [{"reason": r, "count": c} for r, c in zip(REASONS, (3900, 2100, 250, 900, 701))],
                "precision": 0.943 if k == 1 else None} for k in (1, 2)]
    return {
        "run": {"name": "tiny", "arm": None, "preset": "tiny", "rounds": 2, "revision": "3f1c9a7", "seed": 1},
        "headline": {
            "sentences": ["Round 2 answers 84.3 % of new problems, its control 73.0 %. Both had the same number of updates; the control saw the labelled seeds only.",
                          "A vote over a search tree of round 2 is right on 88.0 % of the first 100 problems, greedy decoding on 85.0 % of the same problems."],
            "gain": {"split": "test", "decoder": "greedy", "against": "control", "points": 11.3, "low": 8.8, "high": 13.8, "p": 1e-17,
                     "n": 1000, "before": 73.0, "after": 84.3}},
        "accuracy": accuracies(), "curves": curves(), "critics": critics(), "filter": filters,
        "operators": [{"round": k, "operator": name, "asked": 750, "made": made, "searched": made - 8, "kept": kept,
                       "tokens": tokens} for k in (1, 2) for name, made, kept, tokens in
                      (("mutate", 742, 588, 121_000), ("fresh", 748, 516, 119_500), ("combine", 301, 40, None))],
        "costs": costs(),
        "settings": [{"file": "tree.toml", "key": "mcts.exploration", "value": "1.5", "parent": "0.7"},
                     {"file": "tree.toml", "key": "mcts.root_width", "value": "{ min = 4, max = 6 }", "parent": "{ min = 8, max = 12 }"},
                     {"file": "filter.toml", "key": "confidence_at_least", "value": "0.6", "parent": None}],
        "provenance": provenance(), "prompts": prompts, "problems": problems(), "problems_total": 2000, "trees": trees,
        "sampled": {"prompts_total": 3000, "trees_total": 3000, "prompts_shown": len(prompts), "trees_shown": len(trees)},
    }


def empty():
    lists = "accuracy curves critics filter operators costs settings provenance prompts problems trees".split()
    return {"run": {"name": "empty", "arm": "by-q", "preset": "smoke", "rounds": 0, "revision": None, "seed": 0},
            "headline": {"sentences": [], "gain": None}, **{name: [] for name in lists}, "problems_total": 0,
            "sampled": {"prompts_total": 0, "trees_total": 0, "prompts_shown": 0, "trees_shown": 0}}


def sparse():
    """Every list has an entry, and whatever may be null is."""
    data = empty()
    data["run"]["name"] = "sparse"
    outcome = {"answer": None, "correct": False, "text": None, "decoder": None}
    one = {"question": "?", "columns": COLUMNS, "picks": {"mcts-vote": None}, "nodes": [
        [0, None, 0, "", 0, None, 0, None, [], None, None, None, None, 0, None, None, None, False, None],
        [1, 0, 1, "", 1, None, 1, None, [], None, None, None, None, 0, None, None, None, True, None]],
        "solutions": [{"leaf_id": 1, "decoder": "mcts", "rank": 0, "answer": None, "score": None, "value": None, "orm": None,
                       "agreement": None, "kept": False, "why": None, "checks": []}]}
    data.update(
        accuracy=[{"split": "test", "decoder": "greedy", "model": "base", "n": 10, "accuracy": 0.0, "low": None, "high": None,
                   "tokens": None, "against_control": None}],
        curves=[{"split": "test", "model": "base", "points": []}],
        critics=[{"head": "orm", "round": 0, "n": 0, "auc": None, "within_prompt": None, "ece": None, "calibration": [], "roc": []}],
        filter=[{"round": 1, "searched": 0, "solutions": 0, "kept_prompts": 0, "kept": 0, "dropped": [], "precision": None}],
        operators=[{"round": 1, "operator": "fresh", "asked": 0, "made": 0, "searched": 0, "kept": 0, "tokens": None}],
        costs=[{"stage": "search", "seconds": None, "generated": None, "trained": None, "tflop": None}],
        provenance=[{"output": "x", "tool": "search", "version": None, "revision": None, "seed": None, "recipe": None,
                     "content": None, "inputs": [{"name": "y", "path": None, "content": None}]}],
        prompts=[{"id": "p0", "round": 1, "question": "?", "operator": None, "nodes": 2, "solutions": 1, "answers": [], "vote": None,
                  "greedy": None, "kept": 0, "dropped": None, "has_tree": True}],
        problems=[{"id": "q0", "split": "test", "question": "?", "target": None, "outcomes": {"base": outcome, "round 1": None}}],
        problems_total=1, trees=[{"id": "p0", "json": embedded(one)}],
        sampled={"prompts_total": 1, "trees_total": 1, "prompts_shown": 1, "trees_shown": 1})
    return data


def embedded(value):
    """JSON that may stand in a script element: nothing in it can end the element or open a comment."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def render(data):
    read = lambda *names: "\n".join((ASSETS / name).read_text() for name in names)
    data = dict(data, css=read("page.css"), script=read("page.js", "charts.js", "lists.js", "tree.js"),
                uplot_css=read("uplot/uPlot.min.css"), uplot_js=read("uplot/uPlot.iife.min.js"),
                data_json=embedded({key: data[key] for key in ("accuracy", "curves", "critics")}))
    return minijinja.Environment(templates={"page.html": read("page.html")}).render_template("page.html", **data)


def write(folder):
    """Writes a full report, one without anything, and one in which whatever may be missing is."""
    for name, make in (("report", full), ("empty", empty), ("sparse", sparse)):
        path = Path(folder) / f"{name}.html"
        path.write_text(render(make()))
        print(f"{path.name}: {path.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    write(sys.argv[1])
