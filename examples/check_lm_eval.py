"""Checks that lm-evaluation-harness reads a round's results.json, and finds the same greedy accuracy with its own means.

    pip install "lm_eval[hf]"
    python examples/check_lm_eval.py data/runs/tiny [round-01] [test]

Run it in the repository's root. The first table is the harness's, of results.json; for the second it reads the policy and
the problems of the split itself.
"""

import json
import re
import sys
from pathlib import Path

import lm_eval
import torch
from lm_eval.utils import make_table
from prompt_text import policy_of, text_around
from transformers import AutoTokenizer

run = Path(sys.argv[1])
round_ = sys.argv[2] if len(sys.argv) > 2 else "round-01"
split = sys.argv[3] if len(sys.argv) > 3 else "test"

text = policy_of(run)
policy = run / round_ / "policy"
before, after = text_around(text["format"], AutoTokenizer.from_pretrained(policy))
end = json.loads((policy / "tokenizer_config.json").read_text())["eos_token"]

ours = json.loads((run / round_ / "evaluation/results.json").read_text())
print(make_table(ours))

name = next(name for name, config in ours["configs"].items() if config["test_split"] == split)
task = {
    "task": name,
    "dataset_path": "parquet",
    "dataset_kwargs": {"data_files": {split.replace("-", "_"): str((run / "world" / split / "data/*.parquet").absolute())}},
    "test_split": split.replace("-", "_"),
    "output_type": "generate_until",
    "doc_to_text": lambda problem: before + problem["prompt"] + after,
    "doc_to_target": "answer",
    "generation_kwargs": {"until": [end], "max_gen_toks": text["max_solution_tokens"], "do_sample": False},
    "filter_list": [
        {
            "name": "greedy",
            "filter": [
                {"function": "regex", "regex_pattern": re.escape(text["answer_mark"]) + " *(.+)"},
                {"function": "take_first"},
            ],
        }
    ],
    "metric_list": [{"metric": "exact_match", "aggregation": "mean", "higher_is_better": True}],
    "metadata": {"version": ours["versions"][name]},
}
model = {"pretrained": str(policy), "dtype": "float32", "add_bos_token": False}
device = "cuda" if torch.cuda.is_available() else "cpu"
theirs = lm_eval.simple_evaluate(model="hf", model_args=model, tasks=[task], batch_size=64, device=device)
print(make_table(theirs))

key = "exact_match,greedy"
here, there = ours["results"][name][key], theirs["results"][name][key]
print(f"{name}: {here} in results.json, {there} by the harness")
sys.exit(int(here != there))
