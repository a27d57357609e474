"""A real language model here and behind vLLM on the same CPU, with the same questions.

    python benches/real.py greedy MODEL PROBLEMS --vllm ENV [--questions 32] [--runs 3]
    python benches/real.py search MODEL PROBLEMS --vllm ENV [--questions 64] [--seconds 130]

MODEL is a Hugging Face directory, PROBLEMS a JSONL file like GSM8K's test.jsonl, ENV a virtual environment with vLLM's CPU build.
`greedy` answers by `evaluate run`, in turn here and with vLLM, and prints tokens per second, loading left out, and the peak of our
memory. `search` searches with vLLM as policy and critic for some time, and prints how many requests vLLM was running, its own
metric, every second. What was measured is in target/bench/real-*.json.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from compare import CORES, OUT as BENCH, ROOT, STAGES, run

OUT = BENCH / "real"
PRESET = ROOT / "pipelines" / "chat-gsm8k"
ADDRESS = "http://127.0.0.1:8765"
SERVED = f"{ADDRESS}/v1"


def questions(problems, count):
    """The first questions, imported."""
    out = OUT / f"problems-{count}"
    if not out.exists():
        head = OUT / "head.jsonl"
        head.write_text("".join(problems.read_text().splitlines(keepends=True)[:count]))
        run([STAGES / "synthesize", "import", "--config", PRESET / "import.toml", "--format", "gsm8k", "--input", head, "--split",
             "test", "--out", out], CORES)
    return out


def greedy(policy, problems):
    """Greedy answers: tokens, seconds without loading, and peak memory in bytes."""
    out = OUT / "greedy"
    shutil.rmtree(out, ignore_errors=True)
    measured = run([STAGES / "evaluate", "run", "--config", PRESET / "evaluate.toml", "--set", "search_problems=0", "--text",
                    PRESET / "text.toml", "--policy", policy, "--problems", problems, "--out", out], CORES)
    rows = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    rows = [row for row in rows if "greedy" in row.get("decoders", [])]
    tokens, seconds = (sum(row[key] for row in rows) for key in ["tokens", "seconds"])
    return {"tokens": tokens, "seconds": seconds, "memory": measured["memory"]}


def search_command(problems):
    """A search with vLLM as policy, fast policy and critic in words."""
    for out in ["nodes", "trajectories"]:
        shutil.rmtree(OUT / out, ignore_errors=True)
    # Words that a Qwen2.5 considers after the preset's question.
    words = [("yes", " yes"), ("no", " no")]
    words = [f'text.critic.words.{head}.{key}="{word}"' for head in ["orm", "prm", "value"] for key, word in words]
    return [STAGES / "search", "--config", PRESET / "search.toml", "--text", PRESET / "text.toml", "--tree", PRESET / "tree.toml",
            *[flag for word in words for flag in ["--set", word]], "--policy", SERVED, "--fast-policy", SERVED, "--critic", SERVED,
            "--weak-critics", "--requests", "32", "--prompts", problems, "--out-nodes", OUT / "nodes", "--out-trajectories",
            OUT / "trajectories"]


class Vllm:
    """A vLLM server on all cores. Stopped at the end of a `with`."""

    def __init__(self, env, model):
        # Its CPU build fails at a request with a seed whose prompt it reads in pieces, so a pass has room for many prompts.
        words = [env / "bin" / "vllm", "serve", model, "--dtype", "bfloat16", "--max-model-len", "2048", "--host", "127.0.0.1",
                 "--port", ADDRESS.rsplit(":", 1)[1], "--max-num-seqs", "64", "--max-num-batched-tokens", "14000"]
        settings = {"VLLM_CPU_KVCACHE_SPACE": "4", "VLLM_CPU_OMP_THREADS_BIND": f"0-{CORES - 1}"}
        self.log = (OUT / "vllm.log").open("w")
        self.process = subprocess.Popen(words, env=dict(os.environ, **settings), stdout=self.log, stderr=self.log)

    def __enter__(self):
        for _ in range(600):
            try:
                urllib.request.urlopen(f"{ADDRESS}/health", timeout=2).read()
                return self
            except OSError:
                if self.process.poll() is not None:
                    break
                time.sleep(1)
        self.__exit__()
        sys.exit(f"vLLM does not answer: {self.log.name}")

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()

    def running(self):
        """The number of requests that it is running; one for several samples counts as several."""
        text = urllib.request.urlopen(f"{ADDRESS}/metrics", timeout=5).read().decode()
        lines = [line for line in text.splitlines() if line.startswith("vllm:num_requests_running")]
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines)


def compare_greedy(args):
    problems = questions(args.problems, args.questions)
    found = {"here": [], "vllm, cold": [], "vllm, warm": []}
    for _ in range(args.runs):
        found["here"].append(greedy(args.model, problems))
        with Vllm(args.vllm, args.model):
            # The first run fills its prefix cache.
            for name in ["vllm, cold", "vllm, warm"]:
                found[name].append(greedy(SERVED, problems))
    rates = {name: statistics.median(run["tokens"] / run["seconds"] for run in runs) for name, runs in found.items()}
    for name, rate in rates.items():
        print(f"{name}: {rate:.1f} tokens per second")
    print(f"here / vllm, warm: {rates['here'] / rates['vllm, warm']:.2f}; our peak: "
          f"{max(run['memory'] for run in found['here']) / 2**30:.1f} GiB")
    return found


def watch_search(args):
    problems = questions(args.problems, args.questions)
    running = []
    with Vllm(args.vllm, args.model) as server, (OUT / "search.log").open("w") as log:
        search = subprocess.Popen([str(word) for word in search_command(problems)], cwd=ROOT, stdout=log, stderr=log)
        begun = time.monotonic()
        while time.monotonic() - begun < args.seconds and search.poll() is None:
            time.sleep(1)
            running.append(server.running())
        if search.poll() not in [None, 0]:
            sys.exit(f"search has ended: {log.name}")
        search.kill()
        search.wait()
    # The first seconds test the server.
    running = running[20:]
    print(f"requests running at vLLM: mean {statistics.mean(running):.1f}, median {statistics.median(running):.0f}, of {len(running)} "
          "samples")
    return running


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = {"greedy": (compare_greedy, 32), "search": (watch_search, 64)}
    parser.add_argument("command", choices=commands)
    parser.add_argument("model", type=Path)
    parser.add_argument("problems", type=Path)
    parser.add_argument("--vllm", type=Path, required=True)
    parser.add_argument("--questions", type=int)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=130)
    args = parser.parse_args()
    command, count = commands[args.command]
    args.questions = args.questions or count
    OUT.mkdir(parents=True, exist_ok=True)
    (BENCH / f"real-{args.command}.json").write_text(json.dumps(command(args), indent=1))


if __name__ == "__main__":
    main()
