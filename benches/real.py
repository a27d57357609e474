"""A real language model here and behind vLLM on the same CPU: `evaluate run` and `search` of the same questions, in turn.

    python benches/real.py MODEL PROBLEMS --vllm ENV [--questions 32] [--trees 64] [--runs 3] [--preset chat-gsm8k]

MODEL is a Hugging Face directory, PROBLEMS a JSONL file like GSM8K's test.jsonl, ENV a virtual environment with vLLM's CPU build.
Prints tokens per second of greedy answers, from the metrics of `evaluate run`, which leave loading out; for searches the CPU
seconds per tree, and how many requests vLLM was running (its own metric, sampled). Everything is in target/bench/real.json.
"""

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "target" / "bench" / "real"
STAGES = ROOT / "target" / "release"
ADDRESS = "http://127.0.0.1:8765"


def stage(*words):
    """Runs a stage; returns its wall-clock and CPU seconds."""
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    process = subprocess.run([str(word) for word in words], cwd=ROOT, capture_output=True, text=True)
    if process.returncode != 0:
        sys.exit(f"{' '.join(map(str, words))}\n{process.stdout}\n{process.stderr}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"wall": time.perf_counter() - begun, "cpu": cpu}


def questions(problems, count, preset):
    """The first questions, imported."""
    out = OUT / f"problems-{count}"
    if not out.exists():
        head = OUT / "head.jsonl"
        head.write_text("".join(problems.read_text().splitlines(keepends=True)[:count]))
        stage(STAGES / "synthesize", "import", "--config", preset / "import.toml", "--format", "gsm8k", "--input", head,
              "--split", "test", "--out", out)
    return out


def greedy(policy, problems, preset, precision):
    """Tokens per second of greedy answers, without loading."""
    out = OUT / "greedy"
    shutil.rmtree(out, ignore_errors=True)
    stage(STAGES / "evaluate", "run", "--config", preset / "evaluate.toml", "--set", "search_problems=0", "--text",
          preset / "text.toml", "--set", f'text.precision="{precision}"', "--policy", policy, "--problems", problems, "--out", out)
    rows = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    rows = [row for row in rows if "greedy" in row.get("decoders", [])]
    results = json.loads((out / "results.json").read_text())
    return {"tokens": sum(row["tokens"] for row in rows), "seconds": sum(row["seconds"] for row in rows), "results": results}


def search(policy, problems, preset, precision):
    """A search with the policy as its own critic."""
    for out in ["nodes", "trajectories"]:
        shutil.rmtree(OUT / out, ignore_errors=True)
    return stage(STAGES / "search", "--config", preset / "search.toml", "--text", preset / "text.toml", "--set",
                 f'text.precision="{precision}"', "--tree", preset / "tree.toml", "--policy", policy, "--fast-policy", policy,
                 "--critic", policy, "--weak-critics", "--prompts", problems, "--out-nodes", OUT / "nodes", "--out-trajectories",
                 OUT / "trajectories")


class Vllm:
    """A vLLM server on all cores, and what it says of itself."""

    def __init__(self, env, model):
        words = [env / "bin" / "vllm", "serve", model, "--dtype", "bfloat16", "--max-model-len", "2048", "--host", "127.0.0.1",
                 "--port", ADDRESS.rsplit(":", 1)[1], "--max-num-seqs", "64",
                 # Its CPU build fails at a request with a seed whose prompt it reads in pieces: a pass has room for all.
                 "--max-num-batched-tokens", "14000"]
        cores = os.cpu_count()
        settings = {"VLLM_CPU_KVCACHE_SPACE": "4", "VLLM_CPU_OMP_THREADS_BIND": f"0-{cores - 1}"}
        self.log = (OUT / "vllm.log").open("w")
        self.process = subprocess.Popen(words, env=dict(os.environ, **settings), stdout=self.log, stderr=self.log)
        for _ in range(300):
            try:
                urllib.request.urlopen(f"{ADDRESS}/health", timeout=2).read()
                return
            except OSError:
                if self.process.poll() is not None:
                    sys.exit(f"vLLM has ended: {self.log.name}")
                time.sleep(1)
        sys.exit(f"vLLM does not answer: {self.log.name}")

    def running(self):
        """The number of requests that it is running."""
        text = urllib.request.urlopen(f"{ADDRESS}/metrics", timeout=5).read().decode()
        lines = [line for line in text.splitlines() if line.startswith("vllm:num_requests_running")]
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines)

    def watched(self, work):
        """Runs `work`; returns its result and the requests that were running meanwhile, every half second."""
        seen, done = [], threading.Event()

        def watch():
            while not done.wait(0.5):
                seen.append(self.running())

        thread = threading.Thread(target=watch)
        thread.start()
        try:
            return work(), seen
        finally:
            done.set()
            thread.join()

    def cpu(self):
        """CPU seconds of the server so far, with its workers."""
        total, ticks = 0.0, os.sysconf("SC_CLK_TCK")
        group = {self.process.pid}
        for folder in sorted(Path("/proc").glob("[0-9]*"), key=lambda path: int(path.name)):
            try:
                fields = (folder / "stat").read_text().rsplit(")", 1)[1].split()
            except OSError:
                continue
            if int(fields[1]) in group or int(folder.name) in group:
                group.add(int(folder.name))
                total += (int(fields[11]) + int(fields[12])) / ticks
        return total

    def stop(self):
        self.process.terminate()
        self.process.wait()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("problems", type=Path)
    parser.add_argument("--vllm", type=Path, required=True)
    parser.add_argument("--questions", type=int, default=32)
    parser.add_argument("--trees", type=int, default=64)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--preset", default="chat-gsm8k")
    parser.add_argument("--skip", default="", help="search, or greedy")
    args = parser.parse_args()
    OUT.mkdir(parents=True, exist_ok=True)
    preset = ROOT / "pipelines" / args.preset
    served = f"{ADDRESS}/v1"
    found = {"greedy": {"here": [], "here_f32": [], "vllm": []}, "search": {}}
    if args.skip != "greedy":
        problems = questions(args.problems, args.questions, preset)
        for _ in range(args.runs):
            found["greedy"]["here"].append(greedy(args.model, problems, preset, "bf16"))
            server = Vllm(args.vllm, args.model)
            # The first run fills its prefix cache.
            for _ in range(2):
                found["greedy"]["vllm"].append(greedy(served, problems, preset, "f32"))
            server.stop()
        rates = {}
        for name, runs in found["greedy"].items():
            runs = runs[1::2] if name == "vllm" else runs
            if runs:
                rates[name] = statistics.median(run["tokens"] / run["seconds"] for run in runs)
        print("greedy, tokens per second:", {name: round(rate, 1) for name, rate in rates.items()},
              "ratio", round(rates["here"] / rates["vllm"], 2))
    if args.skip != "search":
        problems = questions(args.problems, args.trees, preset)
        here = search(args.model, problems, preset, "bf16")
        server = Vllm(args.vllm, args.model)
        before = server.cpu()
        there, running = server.watched(lambda: search(served, problems, preset, "f32"))
        there["cpu"] += server.cpu() - before
        server.stop()
        found["search"] = {"here": here, "vllm": there, "running": running}
        print("search, CPU seconds per tree:", round(here["cpu"] / args.trees, 1), "and", round(there["cpu"] / args.trees, 1),
              "; wall:", round(here["wall"]), "and", round(there["wall"]), "; requests running at vLLM: mean",
              round(statistics.mean(running), 1), "median", statistics.median(running))
    (OUT.parent / "real.json").write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
