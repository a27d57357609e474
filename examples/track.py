"""Shows the metrics of a run, as they are written, in TensorBoard, Weights & Biases, MLflow or Trackio.

    pip install tensorboard                # or wandb, mlflow, trackio
    python examples/track.py data/runs/tiny --to tensorboard --follow
    tensorboard --logdir data/runs/tiny/tracked

Every output folder with a metrics.jsonl, such as round-01/policy, becomes a run there, and so does each shard while it works. The step
is the update in training and the number of the row elsewhere. All numbers of a row are logged, with tokens and nodes a second, and the
shares that came from the cache, were answered, ended because answers agreed, and are right. The comparison at the end of each round becomes
a run called accuracy, whose step is the round. W&B is told to stay offline unless WANDB_MODE says otherwise, MLflow
writes to mlflow.db in the run's folder unless MLFLOW_TRACKING_URI does. With --follow, new rows are looked for every 10 seconds until
Ctrl-C; with --while PID until that process has ended, which is how `make round TRACK=tensorboard` calls this.
"""

import argparse
import importlib
import json
import os
import sys
import time
from pathlib import Path


def numbers(row, prefix=""):
    """The numbers of a row by their names, those of nested objects with dots."""
    found = {}
    for name, value in row.items():
        if isinstance(value, dict):
            found |= numbers(value, f"{prefix}{name}.")
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            found[prefix + name] = float(value)
    return found


def derived(values):
    """Rates and shares of a row's counts: what people look at while a stage works."""
    seconds = values.get("seconds") or values.get("elapsed_s")
    found = {f"{name}_per_second": values[name] / seconds for name in ("tokens", "nodes", "trained_tokens") if name in values and seconds}
    read, reused = values.get("policy_tokens", 0) + values.get("critic_tokens", 0), values.get("reused_tokens", 0)
    shares = {"cache_hits": (reused, read + reused), "answered": (values.get("answered"), values.get("prompts")),
              "agreed": (values.get("settled"), values.get("trees")),
              "right": (values.get("right"), values.get("outputs") or values.get("solutions"))}
    return found | {f"{name}_share": part / whole for name, (part, whole) in shares.items() if part is not None and whole}


class TensorBoard:
    def __init__(self, place, name):
        from tensorboard.summary import Writer
        self.writer = Writer(str(place / "tracked" / name))

    def log(self, values, step):
        for name, value in values.items():
            self.writer.add_scalar(name, value, step)
        self.writer.flush()


class Wandb:
    def __init__(self, place, name):
        import wandb
        os.environ.setdefault("WANDB_MODE", "offline")
        self.run = wandb.init(project=place.name, name=name, dir=str(place), reinit="create_new")

    def log(self, values, step):
        self.run.log(values, step=step)


class MLflow:
    def __init__(self, place, name):
        import mlflow
        self.client = mlflow.MlflowClient(os.environ.get("MLFLOW_TRACKING_URI", f"sqlite:///{place.resolve()}/mlflow.db"))
        known = self.client.get_experiment_by_name(place.name)
        experiment = known.experiment_id if known else self.client.create_experiment(place.name)
        self.run = self.client.create_run(experiment, run_name=name).info.run_id

    def log(self, values, step):
        for name, value in values.items():
            self.client.log_metric(self.run, name, value, step=step)


class Trackio:
    # Its runs share a process-wide current one, so each row says whose it is.
    def __init__(self, place, name):
        import trackio
        self.run = trackio.init(project=place.name, name=name, resume="allow")

    def log(self, values, step):
        self.run.log(values, step=step)


TRACKERS = {"tensorboard": TensorBoard, "wandb": Wandb, "mlflow": MLflow, "trackio": Trackio}


class Log:
    """The rows of a metrics.jsonl that were not shown yet."""

    def __init__(self, path, trackers):
        self.path, self.trackers, self.read, self.rows, self.first = path, trackers, 0, 0, b""

    def new_rows(self):
        try:
            with self.path.open("rb") as file:
                first = file.readline()
                if not first.startswith(self.first):
                    self.read = self.rows = 0  # The output was replaced, and its log begun anew.
                self.first = first
                file.seek(self.read)
                whole, newline, _ = file.read().rpartition(b"\n")
        except FileNotFoundError:
            return
        # The rest is a line that is still being written.
        self.read += len(whole) + len(newline)
        for line in whole.splitlines():
            try:
                yield json.loads(line)
            except ValueError:
                pass  # A line that a killed stage left unfinished.

    def show(self):
        for row in self.new_rows():
            values, step = numbers(row), row.get("update", self.rows)
            values |= derived(values)
            self.rows += 1
            for tracker in self.trackers:
                tracker.log(values, step)


class Accuracy:
    """The accuracies of the rounds: percent right by split and decoder, of each round's model and of its control."""

    def __init__(self, trackers):
        self.trackers, self.rows, self.shown = trackers, 0, set()

    def show(self, path):
        try:
            splits = json.loads(path.read_text())["splits"]
        except (FileNotFoundError, ValueError):
            return  # It is being replaced.
        if path in self.shown:
            return
        self.shown.add(path)
        number = int(path.parent.name.removeprefix("round-"))
        series = {f"round {number}": ("", number), "control": ("/control", number)}
        if number == 1:
            series["base"] = ("", 0)
        values = {}
        for split in splits:
            for row in split["rows"]:
                if row["model"] in series:
                    suffix, step = series[row["model"]]
                    values.setdefault(step, {})[f"{split['split']}/{row['decoder']}{suffix}"] = row["accuracy"]["estimate"]
        for step, of in sorted(values.items()):
            self.rows += 1
            for tracker in self.trackers:
                tracker.log(of, step)


def runs(process):
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def require(kinds):
    for kind in kinds:
        if kind not in TRACKERS:
            sys.exit(f"{kind}: it is one of {', '.join(TRACKERS)}")
        try:
            importlib.import_module(kind)
        except ImportError as error:
            sys.exit(f"{kind}: {error}; pip install {kind}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("run", type=Path)
    parser.add_argument("--to", default="tensorboard", help=",".join(TRACKERS))
    until = parser.add_mutually_exclusive_group()
    until.add_argument("--follow", action="store_true")
    until.add_argument("--while", dest="process", metavar="PID", type=int)
    until.add_argument("--check", action="store_true", help="only see whether the packages are there")
    arguments = parser.parse_args()
    kinds = arguments.to.split(",")
    require(kinds)
    if arguments.check:
        return
    logs, accuracies = {}, {}

    def trackers(name):
        return [TRACKERS[kind](arguments.run, name) for kind in kinds]

    while True:
        # Asked before the rows are read: what the process wrote last is read once more.
        goes_on = arguments.follow or (arguments.process and runs(arguments.process))
        shards = arguments.run.rglob(".state/scratch/metrics/*.jsonl")
        for path in sorted([*arguments.run.rglob("metrics.jsonl"), *shards]):
            if path not in logs:
                name = str(path.relative_to(arguments.run)).removesuffix("/metrics.jsonl").replace("/", "-")
                logs[path] = Log(path, trackers(name))
            logs[path].show()
        for path in sorted(arguments.run.rglob("round-*/comparison.json")):
            arm = path.parent.parent
            if arm not in accuracies:
                accuracies[arm] = Accuracy(trackers("accuracy" if arm == arguments.run else f"{arm.name}-accuracy"))
            accuracies[arm].show(path)
        if not goes_on:
            break
        time.sleep(10)
    shown = [*logs.values(), *accuracies.values()]
    print(f"{sum(log.rows for log in shown)} rows of {len(shown)} logs")


if __name__ == "__main__":
    main()
