"""A real language model here, behind vLLM and llama.cpp, and in PyTorch with PEFT, on the same CPU.

    python benches/real.py greedy  MODEL --problems FILE --vllm ENV [--questions 32] [--runs 3]
    python benches/real.py search  MODEL --problems FILE --vllm ENV [--questions 64] [--seconds 130]
    python benches/real.py trees   MODEL --problems FILE --vllm ENV [--questions 4]
    python benches/real.py decode  MODEL --rows 64 [--vllm ENV] [--llama ENV --gguf FILE] [--runs 3]
    python benches/real.py prefill MODEL --rows 32 [--vllm ENV] [--llama ENV --gguf FILE] [--runs 3]
    python benches/real.py lora    MODEL --peft ENV [--prompts] [--runs 3]

MODEL is a Hugging Face directory, FILE of --problems is like GSM8K's test.jsonl, and every ENV is a virtual environment: with
vLLM's CPU build, with tests/llama_cpp/requirements.txt, with benches/requirements.txt. `greedy` answers questions by `evaluate
run`, in turn here and with vLLM, and prints tokens per second, loading left out, and the peak of our memory. `search` searches with
vLLM as policy and critic for some time, and prints how many requests vLLM was running, its own metric, every second. `trees`
searches to the end, here and with vLLM, and prints CPU seconds per tree, those of the server among them. `decode` continues prompts
of 64 tokens by 64, `prefill` reads prompts of 700 tokens, all of them different. `lora` trains adapters of all projections, of rank
16, on 16 rows of 200 tokens, of which the last 120 are targets, or with `--prompts` on rows as `chat-gsm8k` makes them of GSM8K's
solutions, in the mean: 377 tokens, 284 of them the prompt, whose first 218 all rows have in common. What was measured is in target/bench/real-*.json.
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
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from compare import CORES, MEASURE, OUT as BENCH, ROOT, STAGES, run
from theirs import row

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


def search_command(problems, model):
    """A search with a directory or a server as policy, fast policy and critic in words."""
    for out in ["nodes", "trajectories"]:
        shutil.rmtree(OUT / out, ignore_errors=True)
    # Words that a Qwen2.5 considers after the preset's question.
    words = [("yes", " yes"), ("no", " no")]
    words = [f'text.critic.words.{head}.{key}="{word}"' for head in ["orm", "prm", "value"] for key, word in words]
    return [STAGES / "search", "--config", PRESET / "search.toml", "--text", PRESET / "text.toml", "--tree", PRESET / "tree.toml",
            *[flag for word in words for flag in ["--set", word]], "--policy", model, "--fast-policy", model, "--critic", model,
            "--weak-critics", "--requests", "32", "--prompts", problems, "--out-nodes", OUT / "nodes", "--out-trajectories",
            OUT / "trajectories"]


class Server:
    """A server on all cores. Stopped at the end of a `with`."""

    def __init__(self, name, words, settings):
        self.log = (OUT / f"{name}.log").open("w")
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
        sys.exit(f"the server does not answer: {self.log.name}")

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()

    def continued(self, prompts, new):
        """Seconds in which it continues all prompts at once, of token ids, by so many tokens."""
        model = json.loads(urllib.request.urlopen(f"{SERVED}/models", timeout=60).read())["data"][0]["id"]

        def one(prompt):
            told = {"model": model, "prompt": prompt, "max_tokens": new, "temperature": 0, "ignore_eos": True}
            request = urllib.request.Request(
                f"{SERVED}/completions", json.dumps(told).encode(), {"Content-Type": "application/json"}
            )
            return json.loads(urllib.request.urlopen(request, timeout=3600).read())["usage"]["completion_tokens"]

        with ThreadPoolExecutor(len(prompts)) as pool:
            begun = time.perf_counter()
            written = sum(pool.map(one, prompts))
            seconds = time.perf_counter() - begun
        assert written == new * len(prompts), f"{written} tokens"
        return seconds

    def cpu(self):
        """CPU seconds so far, of all its processes."""
        parents, ticks = {}, {}
        for path in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = path.read_text().rsplit(")", 1)[1].split()
            except OSError:
                continue  # it has just ended
            pid = int(path.parent.name)
            parents[pid], ticks[pid] = int(fields[1]), int(fields[11]) + int(fields[12])

        def ours(pid):
            return pid == self.process.pid or pid in parents and ours(parents[pid])

        return sum(count for pid, count in ticks.items() if ours(pid)) / os.sysconf("SC_CLK_TCK")

    def running(self):
        """The number of requests that it is running; one for several samples counts as several."""
        text = urllib.request.urlopen(f"{ADDRESS}/metrics", timeout=5).read().decode()
        lines = [line for line in text.splitlines() if line.startswith("vllm:num_requests_running")]
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines)


def vllm(env, model):
    # Its CPU build fails at a request with a seed whose prompt it reads in pieces, so a pass has room for many prompts.
    words = [env / "bin" / "vllm", "serve", model, "--dtype", "bfloat16", "--max-model-len", "2048", "--host", "127.0.0.1",
             "--port", ADDRESS.rsplit(":", 1)[1], "--max-num-seqs", "64", "--max-num-batched-tokens", "14000"]
    return Server("vllm", words, {"VLLM_CPU_KVCACHE_SPACE": "4", "VLLM_CPU_OMP_THREADS_BIND": f"0-{CORES - 1}"})


def llama(env, gguf, slots, context):
    """llama.cpp's server, with a slot for every prompt."""
    program = ROOT / "examples" / "llama_server.py"
    words = [env / "bin" / "python", program, gguf, ADDRESS.rsplit(":", 1)[1], str(CORES), str(slots), str(context)]
    return Server("llama", words, {})


def compare_greedy(args):
    problems = questions(args.problems, args.questions)
    found = {"here": [], "vllm, cold": [], "vllm, warm": []}
    for _ in range(args.runs):
        found["here"].append(greedy(args.model, problems))
        with vllm(args.vllm, args.model):
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
    with vllm(args.vllm, args.model) as server, (OUT / "search.log").open("w") as log:
        search = subprocess.Popen([str(word) for word in search_command(problems, SERVED)], cwd=ROOT, stdout=log, stderr=log)
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


def compare_trees(args):
    problems = questions(args.problems, args.questions)
    found = {"here": run(search_command(problems, args.model), CORES)["cpu"]}
    with vllm(args.vllm, args.model) as server:
        before = server.cpu()
        found["vllm"] = run(search_command(problems, SERVED), CORES)["cpu"] + server.cpu() - before
    for name, seconds in found.items():
        print(f"{name}: {seconds / args.questions:.1f} CPU seconds per tree")
    return found


def job_seconds(job, times):
    """Wall-clock seconds of one time of a job that takes `--times`, loading left out, and the peak of its memory."""
    runs = [run([*job, "--times", count], CORES) for count in [0, times]]
    return (runs[1]["wall"] - runs[0]["wall"]) / times, runs[1]["memory"]


def compare_rows(args, tokens, new):
    """Rows of different tokens, read and continued."""
    vocabulary = json.loads((args.model / "config.json").read_text())["vocab_size"]

    def prompts(salt):
        return [row(index + salt, tokens, vocabulary) for index in range(args.rows)]

    ours = [MEASURE, "decode", args.model, "--rows", args.rows, "--tokens", tokens, "--new", new, "--workers", CORES]
    ours += ["--precision", "bf16", "--times", 1 + args.runs]
    servers = {"vllm": lambda: vllm(args.vllm, args.model)} if args.vllm else {}
    if args.llama:
        servers["llama.cpp"] = lambda: llama(args.llama, args.gguf, args.rows, tokens + new + 16)
    # Here as there, the first time is to get warm.
    found = {"here": [float(line.split()[0]) for line in run(ours, CORES)["out"].splitlines()[1:]]}
    for name, server in servers.items():
        with server() as running:
            running.continued(prompts(1000), new)
            # Other prompts every time, or they would be in its cache.
            found[name] = [running.continued(prompts(2000 + 100 * index), new) for index in range(args.runs)]
    counted = args.rows * (new if new > 1 else tokens)
    what = "new" if new > 1 else "prompt"
    for name, seconds in found.items():
        print(f"{name}: {counted / statistics.median(seconds):.1f} {what} tokens per second "
              f"({counted / max(seconds):.1f} to {counted / min(seconds):.1f})")
    return found


def compare_lora(args):
    tokens, begun, shared = (377, 284, 218) if args.prompts else (200, 80, 0)
    size = ["--rows", 16, "--tokens", tokens, "--from", begun, "--shared", shared, "--rank", 16]
    ours = [MEASURE, "train", args.model, *size, "--precision", "bf16", "--parts", 4 if args.prompts else 8, "--workers", CORES]
    theirs = [args.peft / "bin" / "python", ROOT / "benches" / "theirs.py", "train", args.model, *size, "--parts", 4, "--threads", CORES]
    jobs = {"here": ours, "PEFT, bf16": [*theirs, "--precision", "bf16"]}
    if not args.prompts:
        jobs["PEFT, f32"] = theirs
    found = {name: [] for name in jobs}
    for _ in range(args.runs):
        for name, job in jobs.items():
            found[name].append(job_seconds(job, 2))
    for name, runs in found.items():
        rates = sorted(16 * tokens / seconds for seconds, _ in runs)
        print(f"{name}: {statistics.median(rates):.1f} tokens per second ({rates[0]:.1f} to {rates[-1]:.1f}), peak "
              f"{max(memory for _, memory in runs) / 2**30:.1f} GiB")
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = {
        "greedy": compare_greedy,
        "search": watch_search,
        "trees": compare_trees,
        "decode": lambda args: compare_rows(args, 64, 64),
        "prefill": lambda args: compare_rows(args, 700, 1),
        "lora": compare_lora,
    }
    parser.add_argument("command", choices=commands)
    parser.add_argument("model", type=Path)
    for name in ["problems", "vllm", "llama", "gguf", "peft"]:
        parser.add_argument(f"--{name}", type=Path)
    parser.add_argument("--questions", type=int)
    parser.add_argument("--rows", type=int, default=32)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=130)
    parser.add_argument("--prompts", action="store_true")
    args = parser.parse_args()
    args.questions = args.questions or {"greedy": 32, "search": 64, "trees": 4}.get(args.command)
    OUT.mkdir(parents=True, exist_ok=True)
    (BENCH / f"real-{args.command}.json").write_text(json.dumps(commands[args.command](args), indent=1))


if __name__ == "__main__":
    main()
