"""Writes an evaluation in the formats of viewers: Inspect's `inspect view`, and the sample logs of lm-evaluation-harness.

    pip install pyarrow inspect-ai==0.3.285
    python examples/eval_logs.py inspect data/runs/tiny/round-01/evaluation LOGS data/runs/tiny/world/test
    inspect view --log-dir LOGS
    python examples/eval_logs.py lm-eval data/runs/tiny/round-01/evaluation LOGS data/runs/tiny/world/*

The folders at the end have the questions. Inspect gets a log for each split and decoder; the harness a folder of the model with its
results and a file of samples for each split, in which a decoder is a filter.
"""

import argparse
import hashlib
import json
from collections import defaultdict
from datetime import datetime, timezone
from pathlib import Path

import pyarrow.parquet as parquet


def read(evaluation, problems):
    """The questions by their ids, and the answers to them by task, split and decoder."""
    tables = [parquet.read_table(folder / "data", columns=["prompt_id", "prompt"]) for folder in problems]
    questions = {row["prompt_id"]: row["prompt"] for table in tables for row in table.to_pylist()}
    answers = defaultdict(list)
    for row in parquet.read_table(evaluation / "data").to_pylist():
        if row["prompt_id"] in questions:
            answers[row["task"], row["split"], row["decoder"]].append(row)
    if not answers:
        raise SystemExit(f"{evaluation}: it has no answers to these problems")
    return questions, answers


def time_of(evaluation):
    """When the evaluation was completed."""
    return datetime.fromtimestamp((evaluation / "_MANIFEST.json").stat().st_mtime, timezone.utc)


def to_inspect(evaluation, questions, answers, out):
    from inspect_ai.log import (
        EvalConfig, EvalDataset, EvalLog, EvalMetric, EvalResults, EvalSample, EvalScore, EvalSpec, EvalStats, write_eval_log)
    from inspect_ai.model import ChatMessageAssistant, ChatMessageUser, ModelOutput
    from inspect_ai.scorer import Score

    def sample(row):
        question, completion = questions[row["prompt_id"]], row["completion"] or ""
        score = Score(value="C" if row["correct"] else "I", answer=row["answer"])
        return EvalSample(
            id=row["prompt_id"], epoch=row["sample"] + 1, input=question, target=row["target"],
            messages=[ChatMessageUser(content=question), ChatMessageAssistant(content=completion)],
            output=ModelOutput.from_content(row["model"], completion), scores={"exact_match": score},
            metadata={name: row[name] for name in ("tokens", "nodes", "difficulty", "seed")})

    time = time_of(evaluation).isoformat()
    for (task, split, decoder), rows in answers.items():
        name, right = f"{task}-{split}-{decoder}", sum(row["correct"] for row in rows)
        spec = EvalSpec(
            created=time, task=name, dataset=EvalDataset(name=split, samples=len(rows)), model=f"alphallm/{rows[0]['model']}",
            config=EvalConfig(epochs=1 + max(row["sample"] for row in rows)))
        accuracy = EvalMetric(name="accuracy", value=right / len(rows))
        results = EvalResults(
            total_samples=len(rows), completed_samples=len(rows),
            scores=[EvalScore(name="exact_match", scorer="exact_match", metrics={"accuracy": accuracy})])
        log = EvalLog(
            status="success", eval=spec, results=results, stats=EvalStats(started_at=time, completed_at=time),
            samples=[sample(row) for row in rows])
        path = out / f"{name}.eval"
        write_eval_log(log, str(path))
        print(f"{path}: {right} of {len(rows)} right")


def to_lm_eval(evaluation, questions, answers, out):
    results = json.loads((evaluation / "results.json").read_text())
    # Only the tasks whose samples are written: the harness's tools look for those of all.
    tasks = {f"{task}_{split}" for task, split, _ in answers}
    for part in ("results", "configs", "versions", "higher_is_better", "n-samples"):
        results[part] = {task: value for task, value in results[part].items() if task in tasks}
    results["config"]["model_args"] = results["model_name"]
    folder, time = out / results["model_name"].replace("/", "__"), time_of(evaluation).strftime("%Y-%m-%dT%H-%M-%S.%f")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"results_{time}.json").write_text(json.dumps(results, indent=2))

    hashed = lambda text: hashlib.sha256(text.encode()).hexdigest()
    places = {id: place for place, id in enumerate(sorted(questions))}
    lines = defaultdict(list)
    for (task, split, decoder), rows in answers.items():
        for row in rows:
            question = questions[row["prompt_id"]]
            doc = {"prompt_id": row["prompt_id"], "question": question, "answer": row["target"]}
            lines[f"{task}_{split}"].append(json.dumps({
                "doc_id": places[row["prompt_id"]], "doc": doc, "target": row["target"],
                "arguments": {"gen_args_0": {"arg_0": question, "arg_1": {}}}, "resps": [[row["completion"] or ""]],
                "filtered_resps": [row["answer"] or ""], "filter": decoder, "metrics": ["exact_match"],
                "doc_hash": hashed(json.dumps(doc)), "prompt_hash": hashed(question), "target_hash": hashed(row["target"]),
                "exact_match": float(row["correct"]),
            }))
    for task, rows in lines.items():
        path = folder / f"samples_{task}_{time}.jsonl"
        path.write_text("\n".join(rows) + "\n")
        print(f"{path}: {len(rows)} answers")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("format", choices=["inspect", "lm-eval"])
    parser.add_argument("evaluation", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("problems", type=Path, nargs="+")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    write = to_inspect if given.format == "inspect" else to_lm_eval
    write(given.evaluation, *read(given.evaluation, given.problems), given.out)


if __name__ == "__main__":
    main()
