"""Checks that transformers reads a policy and writes the same greedy answers as `evaluate run` did.

    pip install torch transformers pyarrow
    python examples/check_transformers.py data/runs/tiny [round-01] [20] [EVALUATION]

Run it in the repository's root. EVALUATION is the folder of another evaluation of the policy, one behind a server say, by the
same settings.
"""

import sys

import pyarrow.parquet as pq
import torch
from prompt_text import policy_of, text_around
from transformers import AutoModelForCausalLM, AutoTokenizer

run = sys.argv[1]
round_ = sys.argv[2] if len(sys.argv) > 2 else "round-01"
count = int(sys.argv[3]) if len(sys.argv) > 3 else 20
evaluation = sys.argv[4] if len(sys.argv) > 4 else f"{run}/{round_}/evaluation"

text = policy_of(run)
policy = f"{run}/{round_}/policy"
tokenizer = AutoTokenizer.from_pretrained(policy)
model = AutoModelForCausalLM.from_pretrained(policy, dtype=torch.float32).eval()
before, after = text_around(text["format"], tokenizer)

problems = pq.read_table(f"{run}/world/test/data").to_pandas().set_index("prompt_id")["prompt"]
answers = pq.read_table(f"{evaluation}/data").to_pandas()
answers = answers[(answers.split == "test") & (answers.decoder == "greedy")].head(count)

same = 0
for row in answers.itertuples():
    prompt = before + problems[row.prompt_id] + after
    ids = tokenizer(prompt, add_special_tokens=False, return_tensors="pt").input_ids
    with torch.no_grad():
        out = model.generate(ids, do_sample=False, max_new_tokens=text["max_solution_tokens"])
    completion = tokenizer.decode(out[0, ids.shape[1]:], skip_special_tokens=True)
    same += completion == row.completion
print(f"{same} of {len(answers)} greedy answers are the same")
sys.exit(same != len(answers))
