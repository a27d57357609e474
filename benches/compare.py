"""`make bench`: this project beside PyTorch, transformers, llm-reasoners and treequest, on the same checkpoints, prompts and
budgets, in turn. Prints medians and ratios; everything measured is in target/bench/results.json.

    python benches/compare.py [--runs 5] [--only train,decode,search,core] [--device cuda] [--alone] [--card NAME]

`--alone` leaves the others out, for devices that they do not have, and `--card` puts the table into docs/PERFORMANCE.md, as that of
the graphics card with this name.

Every figure is that of a whole process, less that of one that only loads the model. CPU seconds are user and system time;
they do not suffer from other work on the machine as wall-clock time does.
"""

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "target" / "bench"
MEASURE = ROOT / "target" / "release" / "examples" / "measure"
STAGES = ROOT / "target" / "release"
THEIRS = [sys.executable, str(ROOT / "benches" / "theirs.py")]
CORES = os.cpu_count()
ALONE = "--alone" in sys.argv

# Width, layers, heads, feed-forward: 4.7 and 27.8 million parameters beside the embedding.
MODELS = {"s": (256, 6, 4, 688), "m": (512, 8, 8, 1376)}
# On a GPU the smaller of them has nothing to do; 204 million parameters.
LARGE = {"l": (1024, 16, 16, 2752)}
# Tokens of the prompt that all nodes of a tree share, and trees that are searched at once.
SHARED = 820
TREES = 8


def run(command, cores, env=None):
    """CPU and wall-clock seconds of a process, and what it printed."""
    shell = dict(os.environ, RAYON_NUM_THREADS="1", OMP_NUM_THREADS=str(cores), TOKENIZERS_PARALLELISM="false", **(env or {}))
    for name in ["OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"]:
        shell.pop(name, None)
    begun = time.perf_counter()
    process = subprocess.Popen(
        [str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT, env=shell
    )
    out, err = process.stdout.read(), process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - begun
    if status != 0:
        sys.exit(f"{' '.join(map(str, command))}\n{out}\n{err}")
    return {"cpu": usage.ru_utime + usage.ru_stime, "wall": wall, "memory": usage.ru_maxrss * 1024, "out": out}


def write_checkpoints(models):
    """Random models of some sizes with the tokenizer of the base, and critics with scalar heads."""
    import torch
    from safetensors.torch import load_file, save_file
    from transformers import LlamaConfig, LlamaForCausalLM

    base = ROOT / "data" / "base" / "policy"
    vocabulary = json.loads((base / "config.json").read_text())["vocab_size"]
    for name, (width, layers, heads, wide) in models.items():
        policy, critic = OUT / f"policy-{name}", OUT / f"critic-{name}"
        if critic.exists():
            continue
        torch.manual_seed(0)
        config = LlamaConfig(
            vocab_size=vocabulary, hidden_size=width, intermediate_size=wide, num_hidden_layers=layers, num_attention_heads=heads,
            num_key_value_heads=heads, max_position_embeddings=2048, tie_word_embeddings=True, bos_token_id=0, eos_token_id=1,
            pad_token_id=2,
        )
        LlamaForCausalLM(config).save_pretrained(policy)
        for file in ["tokenizer.json", "tokenizer_config.json"]:
            if (base / file).exists():
                shutil.copy(base / file, policy / file)
        shutil.copytree(policy, critic)
        weights = load_file(critic / "model.safetensors")
        weights["scalar_head.weight"] = torch.randn(2, width) * 0.02
        save_file(weights, critic / "model.safetensors", metadata={"format": "pt"})
        config = json.loads((critic / "config.json").read_text())
        (critic / "config.json").write_text(json.dumps(config | {"scalar_heads": ["value", "orm"]}, indent=2))


def beside(name, unit, count, ours, theirs, runs, measured="cpu", cores=1, counted=None):
    """Two jobs in turn. A job is a command with how often it does its work, and with 0. It does `count` units; theirs
    does `counted` if that is another number."""
    jobs = {"ours": ours, "theirs": theirs} if theirs else {"ours": ours}
    samples = {side: [] for side in jobs}
    idle = {side: min(run(job(0), cores)[measured] for _ in range(2)) for side, job in jobs.items()}
    for _ in range(runs):
        for side, job in jobs.items():
            units = counted if counted and side == "theirs" else count
            samples[side].append((run(job(1), cores)[measured] - idle[side]) / units)
    ours, *others = (statistics.median(samples[side]) for side in jobs)
    if not others:
        print(f"{name:44s} {measured:5s} {1e3 * ours:10.3f} {'':10s} ms/{unit}", flush=True)
        return {"name": name, "measured": measured, "unit": unit, "idle": idle, **samples}
    [theirs] = others
    ratios = sorted(b / a for a, b in zip(samples["ours"], samples["theirs"]))
    print(
        f"{name:44s} {measured:5s} {1e3 * ours:10.3f} {1e3 * theirs:10.3f} ms/{unit:6s} {statistics.median(ratios):6.2f}"
        f"  ({ratios[0]:.2f} to {ratios[-1]:.2f})",
        flush=True,
    )
    return {"name": name, "measured": measured, "unit": unit, "idle": idle, **samples}


def measure(job, model, times, **numbers):
    words = [MEASURE, job, OUT / f"policy-{model}"]
    return lambda on: words + [str(w) for k, v in numbers.items() for w in (f"--{k}", v)] + ["--times", str(times * on)]


def theirs(job, model, times, **numbers):
    if ALONE:
        return None
    words = [*THEIRS, job, OUT / f"policy-{model}"]
    return lambda on: words + [str(w) for k, v in numbers.items() for w in (f"--{k}", v)] + ["--times", str(times * on)]


def on(device):
    """What both sides are told of a device, and which of its seconds count: a CPU's own, or a GPU's by the clock."""
    return ({}, "cpu") if device == "cpu" else ({"device": device}, "wall")


def train(runs, device):
    """A step of 32 rows of 128 tokens."""
    told, measured = on(device)
    where = "one thread" if device == "cpu" else device
    size = {"rows": 32, "tokens": 128, **told}
    for model, times in [("s", 8), ("m", 6)] if device == "cpu" else [("m", 20), ("l", 20)]:
        yield beside(
            f"training step, {model}, {where}", "step", times, measure("train", model, times, workers=1, **size),
            theirs("train", model, times, threads=1, **size), runs, measured,
        )
    if device == "cpu":
        yield beside(
            "training step, s, all cores", "step", 8, measure("train", "s", 8, workers=CORES, **size),
            theirs("train", "s", 8, threads=CORES, **size), runs, "wall", CORES,
        )


def decode(runs, device):
    """Sixty-four new tokens after a prompt of sixty-four."""
    told, measured = on(device)
    where = "one thread" if device == "cpu" else device
    models = [("s", 1, 64), ("s", 64, 4), ("m", 1, 16), ("m", 64, 2)]
    for model, rows, times in models if device == "cpu" else [("m", 1, 8), ("m", 64, 8), ("l", 1, 8), ("l", 64, 8)]:
        size = {"rows": rows, "tokens": 64, "new": 64, **told}
        yield beside(
            f"decoding {rows} rows, {model}, {where}", "token", times * rows * 64, measure("decode", model, times, workers=1, **size),
            theirs("decode", model, times, threads=1, **size), runs, measured,
        )
    if device != "cpu":
        return
    size = {"rows": 64 * CORES, "tokens": 64, "new": 64}
    yield beside(
        f"decoding {64 * CORES} rows, s, all cores", "token", 4 * 64 * CORES * 64, measure("decode", "s", 4, workers=CORES, **size),
        theirs("decode", "s", 4, threads=CORES, **size), runs, "wall", CORES,
    )
    width = MODELS["s"][0]
    flops = 2 * 1024 * width * width
    job = measure("gemm", "s", 4000, rows=1024)
    seconds = statistics.median(run(job(1), 1)["cpu"] - run(job(0), 1)["cpu"] for _ in range(runs))
    peak = 4000 * flops / seconds / 1e9
    print(f"matrix products [1024, {width}] x [{width}, {width}], one thread: {peak:.0f} GFLOP/s")
    yield {"name": "gemm", "gflops": peak}


def search(runs, _):
    """A tree with a value for every child: four options of sixteen tokens at a node, after a long prompt."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(OUT / "policy-m")
    words = "Tom has 12 apples and buys 5 more, then gives 3 of them to Laura.".split()
    text = " ".join(words[i % len(words)] for i in range(2000))
    ids = tokenizer(text, add_special_tokens=False).input_ids[: SHARED - 2]
    question = tokenizer.decode(ids)
    for prompts in [1, TREES]:
        yield search_of([f"{i}{question[1:]}" for i in range(prompts)], runs)


def search_of(questions, runs):
    bench = ROOT / "benches" / "search"
    (OUT / "long.jsonl").write_text("".join(json.dumps({"question": question}) + "\n" for question in questions))
    prompts = OUT / "prompts"
    run(
        [STAGES / "synthesize", "import", "--config", bench / "import.toml", "--format", "jsonl", "--without-answers", "--question-column",
         "question", "--input", OUT / "long.jsonl", "--split", "prompts", "--out", prompts, "--force"], 1,
    )

    def ours(on):
        for folder in ["trajectories", "nodes"]:
            shutil.rmtree(OUT / folder, ignore_errors=True)
        return [
            STAGES / "search", "--config", bench / "search.toml", "--text", bench / "text.toml", "--tree", bench / "tree.toml", "--workers", 1,
            "--prompts", prompts, "--policy", OUT / "policy-m", "--fast-policy", OUT / "policy-m", "--critic", OUT / "critic-m",
            "--weak-critics", "--json", "--out-trajectories", OUT / "trajectories", "--out-nodes", OUT / "nodes",
            *([] if on else ["--dry-run"]),
        ]

    report = json.loads(run(ours(1), 1)["out"])
    nodes = report["nodes"]
    print(f"{len(questions)} trees of {nodes} nodes in all: {report['tokens']} tokens generated, {report['policy_tokens']} through the policy,"
          f" {report['critic_tokens']} through the critic, {report['reused_tokens']} kept")
    # It searches one tree after another, each as slowly as the first.
    tree = nodes // len(questions)
    job = [*THEIRS, "reasoners", OUT / "policy-m", "--tokens", SHARED, "--width", 4, "--option", 16]
    return beside(
        f"search, m, {len(questions)} prompts of 820 tokens, one thread", "node", nodes, ours, lambda on: job + ["--nodes", tree * on], runs,
        counted=tree,
    ) | {"report": report}


def core(runs, _):
    """The search alone, with answers for free."""
    out = subprocess.run(
        ["cargo", "bench", "--workspace", "--bench", "search", "--", "small, merging"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    found = re.search(r"thrpt:\s+\[\S+ \S+ (\S+) (\S+) ", out)
    ours = float(found[1]) * {"Kelem/s": 1e3, "Melem/s": 1e6}[found[2]]
    times = [json.loads(run([*THEIRS, "treequest", "--nodes", 200], 1)["out"]) for _ in range(runs)]
    theirs = statistics.median(one["nodes"] / one["seconds"] for one in times)
    print(f"search core: {ours:.0f} nodes/s with merging (paper's small settings); treequest AB-MCTS-A, 200 nodes: {theirs:.0f}"
          f" nodes/s; {ours / theirs:.0f} times as many")
    yield {"name": "core", "ours": ours, "treequest": theirs}


def table(results):
    """The results as rows of Markdown."""
    yield from ["| task | ours, ms | PyTorch, ms | speedup |", "|---|---|---|---|"]
    for one in results:
        sides = [statistics.median(one[side]) for side in ["ours", "theirs"] if side in one]
        cells = [f"{1e3 * side:.3f}" for side in sides] + ([f"{sides[1] / sides[0]:.2f}"] if len(sides) > 1 else ["–", "–"])
        yield f"| {one['name']}, a {one['unit']} | {' | '.join(cells)} |"


def write_card(card, results):
    """Puts the table of a card between the marks for it."""
    path = ROOT / "docs" / "PERFORMANCE.md"
    before, rest = path.read_text().split("<!-- card -->\n")
    _, after = rest.split("<!-- end of card -->\n")
    lines = [f"On {card}, in wall time, by `mk/card.sh`:", "", *table(results)]
    path.write_text("".join([before, "<!-- card -->\n", *(f"{line}\n" for line in lines), "<!-- end of card -->\n", after]))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--only", help="some of train,decode,search,core; on a GPU the first two [default: all there are]")
    parser.add_argument("--device", default="cpu", help="cpu, or cuda for both sides; ours has to be built for it")
    parser.add_argument("--alone", action="store_true")
    parser.add_argument("--card")
    args = parser.parse_args()
    every = ["train", "decode"] + (["search", "core"] if args.device == "cpu" else [])
    only = args.only.split(",") if args.only else every
    if not set(only) <= set(every):
        parser.error(f"--only {args.only}: on {args.device} there are {', '.join(every)}")
    OUT.mkdir(parents=True, exist_ok=True)
    write_checkpoints(MODELS if args.device == "cpu" else MODELS | LARGE)
    print(f"{'':44s} {'':5s} {'this':>10s} {'theirs':>10s} {'':9s} {'times as fast':>8s}")
    jobs = {"train": train, "decode": decode, "search": search, "core": core}
    results = [one for name in only for one in jobs[name](args.runs, args.device)]
    (OUT / "results.json").write_text(json.dumps(results, indent=1))
    if args.card:
        write_card(args.card, results)


if __name__ == "__main__":
    main()
