"""Rounds on a cluster of two nodes on this machine: the bytes are those of one process, whatever happens on the way.

    make test-slurm

Nodes die, tasks are cancelled, run out of time or cannot write, and make is killed and called again.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from cluster import Cluster

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
BIN = Path(sys.argv[1]).resolve()


class Runs:
    """Runs of make in a folder, on a cluster or without."""

    def __init__(self, place, cluster):
        self.place, self.cluster = place, cluster

    def folder(self, name):
        return self.place / name

    def command(self, name, *words):
        return ["make", "--no-print-directory", "BUILD=:", f"P={HERE / 'preset'}", f"BIN={BIN}", f"R={self.folder(name)}", *words]

    def settings(self, resources):
        """A file of resources, and what make is told to use it."""
        file = self.place / "cluster.toml"
        file.write_text("[all]\n" + resources)
        return f"CLUSTER={file}"

    def start(self, name, *words, limit=None):
        # What a user may set, and make without what `make test-slurm` told it.
        environment = {key: value for key, value in os.environ.items() if not key.startswith(("MAKE", "SLURM"))}
        environment |= self.cluster.environment | {"POLL": "1", "WORKERS": "1"}
        if limit:
            environment["BEFORE_LIMIT"] = str(limit)
        log = (self.place / f"{name}.log").open("a")
        return subprocess.Popen(self.command(name, *words), cwd=ROOT, env=environment, stdout=log, stderr=log, start_new_session=True)

    def run(self, name, *words, **options):
        code = self.start(name, *words, **options).wait()
        assert code == 0, f"{name}: make ended with {code}\n{(self.place / f'{name}.log').read_text()[-3000:]}"

    def copy(self, of, name):
        """A run that is searched again from where another one began to search."""
        shutil.copytree(self.folder(of), self.folder(name))
        for output in ("trajectories", "nodes"):
            shutil.rmtree(self.folder(name) / "round-01" / output)


def contents(folder):
    """The bytes of all parts and weights, and what the manifests say of them."""
    found = {}
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder)
        # What models were asked for the prompts, before one process chose them.
        if "drafts" in inside.parts:
            continue
        if path.name == "_MANIFEST.json":
            found[inside] = json.loads(path.read_text())["content"]
        elif path.suffix in (".parquet", ".safetensors") and ".state" not in inside.parts:
            found[inside] = path.read_bytes()
    return found


def same(runs, name, calm):
    there, expected = contents(runs.folder(name)), contents(runs.folder(calm))
    assert there.keys() == expected.keys(), f"{name}: {there.keys() ^ expected.keys()}"
    for path, content in expected.items():
        assert there[path] == content, f"{name}: {path} differs"
    left = [str(path) for path in runs.folder(name).rglob(".state")]
    assert not left, f"{name}: {left} is left over"


def started_again(runs, name, shards):
    """Each task says at its end how it ended: more ends than shards are tasks that were started again."""
    ends = sum(log.read_text().count("exit code ") for log in runs.folder(name).glob("logs/round-01-trajectories-*.log"))
    assert ends > shards, f"{name}: {ends} ends of {shards} shards, so nothing happened to them"


def two_tasks_run(cluster):
    cluster.wait_until(lambda: cluster.running("n1") and cluster.running("n2"), 60)


def main():
    with tempfile.TemporaryDirectory() as place, Cluster(place) as cluster:
        runs = Runs(Path(place), cluster)
        slurm = ["ENGINE=slurm", runs.settings('time = "10"\n')]
        told = lambda text: print(f"{time.monotonic() - begun:6.0f} s  {text}", flush=True)
        begun = time.monotonic()

        runs.run("calm", "round")
        told("a round by one process")
        for shards in (1, 2, 4, 7):
            # Once with parts that go by way of the node's own disk.
            scratch = 'scratch = "/tmp/of-$SLURMD_NODENAME"\nsetup = "mkdir -p /tmp/of-$SLURMD_NODENAME"\n' if shards == 2 else ""
            runs.settings('time = "10"\n' + scratch)
            runs.run(f"slurm-{shards}", "round", *slurm, f"SHARDS={shards}")
            same(runs, f"slurm-{shards}", "calm")
            told(f"the same bytes by job arrays of {shards}")

        runs.copy("calm", "node-loss")
        make = runs.start("node-loss", "search", *slurm, "SHARDS=4")
        two_tasks_run(cluster)
        cluster.cut_off("n2")
        assert make.wait() == 0, "node loss"
        same(runs, "node-loss", "calm")
        started_again(runs, "node-loss", 4)
        cluster.start_node("n2")
        cluster.wait_until(lambda: cluster.ask("sinfo", "-h", "-t", "idle", "-o", "%D").strip() == "2", 60)
        told("a node was lost while it searched")

        runs.copy("calm", "cancelled")
        make = runs.start("cancelled", "search", *slurm, "SHARDS=4")
        two_tasks_run(cluster)
        (task,) = cluster.running("n1")
        cluster.ask("scancel", task)
        assert make.wait() == 0, "scancel"
        same(runs, "cancelled", "calm")
        started_again(runs, "cancelled", 4)
        told("a task was cancelled")

        runs.copy("calm", "killed")
        make = runs.start("killed", "search", *slurm, "SHARDS=4")
        two_tasks_run(cluster)
        os.killpg(make.pid, signal.SIGKILL)
        make.wait()
        assert cluster.running(), "the tasks of a make that was killed go on"
        runs.run("killed", "search", *slurm, "SHARDS=4")
        same(runs, "killed", "calm")
        assert "an earlier call submitted" in (runs.place / "killed.log").read_text()
        told("make was killed and called again")

        runs.copy("calm", "full")
        full = runs.settings('time = "10"\nsetup = "[[ $SLURMD_NODENAME != n2 ]] || ulimit -f 1"\n')
        runs.run("full", "search", "ENGINE=slurm", full, "SHARDS=4")
        same(runs, "full", "calm")
        assert "raise the limit on file sizes" in "".join(log.read_text() for log in runs.folder("full").glob("logs/*.log"))
        told("a node could not write")

        runs.copy("calm", "out-of-time")
        short = runs.settings('time = "1"\n')
        runs.run("out-of-time", "search", "ENGINE=slurm", short, "SHARDS=1", limit=55)
        same(runs, "out-of-time", "calm")
        log = (runs.folder("out-of-time") / "logs/round-01-trajectories-0.log").read_text()
        assert "asked to end before part" in log, log
        told("a task ran out of time and was requeued")


if __name__ == "__main__":
    main()
