"""A round of the smoke preset with its policies behind llama.cpp's servers, of which one is killed on the way and comes back; and a
search whose policy has two servers, of which one is killed for good.

    make test-server

The models are our own: round 0 of the preset trains them, and examples/to_gguf.py converts them. The base models' tokenizer
splits texts as llama.cpp cannot, so they start with the same vocabulary and another split, which round 0 teaches them.
"""

import json
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pyarrow.parquet as parquet

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.argv[1]).resolve()
SPLIT = {"type": "Sequence", "pretokenizers": [
    {"type": "Digits", "individual_digits": True},
    {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
]}
# Batches add up in another order there: where two tokens are as good as equal, either may be taken.
ALIKE = 0.8


def base(name, place):
    """A base model that llama.cpp can split texts for."""
    out = place / "base" / name
    shutil.copytree(ROOT / "data/base" / name, out)
    # It is not what the manifest lists any more.
    (out / "_MANIFEST.json").unlink()
    path = out / "tokenizer.json"
    tokenizer = json.loads(path.read_text())
    tokenizer["pre_tokenizer"] = SPLIT
    path.write_text(json.dumps(tokenizer))
    return out


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Server:
    """llama.cpp's, with a checkpoint."""

    def __init__(self, checkpoint):
        self.model, self.port = checkpoint.with_suffix(".gguf"), free_port()
        run(sys.executable, ROOT / "examples/to_gguf.py", checkpoint, self.model)
        self.address = f"http://127.0.0.1:{self.port}/v1"
        self.start()

    def start(self):
        # One thread: those that wait for each other keep cores busy that the stages need.
        command = [sys.executable, ROOT / "examples/llama_server.py", self.model, str(self.port), "1"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert "listening" in self.process.stdout.readline(), "the server did not start"

    def kill(self):
        self.process.kill()
        self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()


def run(*command):
    subprocess.run([str(part) for part in command], cwd=ROOT, check=True)


def rows(dataset, *columns):
    return parquet.read_table(dataset / "data", columns=list(columns)).to_pylist()


def greedy(evaluation):
    columns = rows(evaluation, "prompt_id", "decoder", "completion")
    return {row["prompt_id"]: row["completion"] for row in columns if row["decoder"] == "greedy"}


def same_answers(round_0, world, served, policy, fast_policy):
    """Greedy answers of the policy here and behind its server."""
    preset = ROOT / "pipelines/smoke"
    run(BIN / "evaluate", "run", "--config", preset / "evaluate.toml", "--text", preset / "text.toml", "--tree", preset / "tree.toml",
        "--policy", policy.address, "--fast-policy", fast_policy.address, "--critic", round_0 / "critics/all",
        "--problems", world / "test", "--out", served)
    here, there = greedy(round_0 / "evaluation"), greedy(served)
    alike = [here[problem] == completion for problem, completion in there.items()]
    share = sum(alike) / len(alike)
    print(f"{sum(alike)} of {len(alike)} greedy answers are the same as here")
    assert share >= ALIKE, share


def searching(make, searched):
    """A search that has its first part."""
    search = subprocess.Popen([*make, "search"], cwd=ROOT)
    while not list(searched.glob("trajectories/data/*.parquet")):
        assert search.poll() is None, "the search ended before its first part"
        time.sleep(0.05)
    return search


def survives(make, policy, searched):
    """A search whose server is gone for a while in the middle of it."""
    search = searching(make, searched)
    policy.kill()
    time.sleep(1)
    assert search.poll() is None, "the search ended with its server"
    policy.start()
    assert search.wait() == 0
    all_found(searched)


def hands_on(make, policy, searched):
    """A search whose policy has two servers, of which one dies."""
    for output in ("trajectories", "nodes"):
        shutil.rmtree(searched / output)
    search = searching(make, searched)
    policy.kill()
    assert search.wait() == 0
    all_found(searched)


def all_found(searched):
    asked = {row["prompt_id"] for row in rows(searched / "prompts", "prompt_id")}
    found = {row["prompt_id"] for row in rows(searched / "trajectories", "prompt_id")}
    print(f"solutions of {len(found)} of {len(asked)} prompts, after the server was killed on the way")
    assert found == asked


def main():
    with tempfile.TemporaryDirectory() as place:
        place = Path(place)
        at = place / "run"
        make = ["make", "--no-print-directory", "PRESET=smoke", "BUILD=:", f"BIN={BIN}", f"R={at}",
                f"INIT={base('policy', place)}", f"FAST_INIT={base('fast_policy', place)}"]
        run(*make, "bootstrap")
        with Server(at / "round-00/policy") as policy, Server(at / "round-00/fast_policy") as fast_policy:
            same_answers(at / "round-00", at / "world", place / "served", policy, fast_policy)
            served = [*make, f"SERVER={policy.address}", f"SERVER_FAST={fast_policy.address}", "ROUND=1"]
            survives(served, policy, at / "round-01")
            with Server(at / "round-00/policy") as second:
                both = f"{policy.address},{second.address}"
                hands_on([*make, f"SERVER={both}", f"SERVER_FAST={fast_policy.address}", "ROUND=1"], policy, at / "round-01")
            policy.start()
            run(*served, "round")
            assert (at / "round-01/comparison.json").exists()


main()
