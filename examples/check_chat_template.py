"""Checks that the chat template beside a policy makes of conversations the text that the policy learned from.

    pip install transformers datasets
    python examples/check_chat_template.py data/runs/tiny [round-01]

Run it in the repository's root. transformers fills the template in, for every row of the round's `sft` table and for the
seeds; the text is compared with that of the preset's text.toml, put together by hand. Of a chat preset there is nothing to check:
the template is the model's own.
"""

import sys
from pathlib import Path

from datasets import load_dataset
from prompt_text import policy_of, text_around
from transformers import AutoTokenizer

run = Path(sys.argv[1])
round_ = sys.argv[2] if len(sys.argv) > 2 else "round-01"
format = policy_of(run)["format"]
tokenizer = AutoTokenizer.from_pretrained(run / round_ / "policy")
if "chat" in format:
    sys.exit("text.toml has a chat: the template is the model's own")
before, after = text_around(format, tokenizer)

turn = lambda role, text: {"role": role, "content": text}
seeds = load_dataset(str(run / "world/seeds"), split="train")
pairs = [([turn("user", row["prompt"])], [turn("assistant", row["solution"])]) for row in seeds if row["solution"]]
if (run / round_ / "sft").exists():
    pairs += [(row["prompt"], row["completion"]) for row in load_dataset(str(run / round_ / "sft"), split="train")]

same = 0
for prompt, completion in pairs:
    asked = tokenizer.apply_chat_template(prompt, tokenize=False, add_generation_prompt=True)
    learned = tokenizer.apply_chat_template(prompt + completion, tokenize=False)
    wanted = before + prompt[0]["content"] + after
    same += asked == wanted and learned == wanted + completion[0]["content"] + tokenizer.eos_token
print(f"{same} of {len(pairs)} conversations become the text of text.toml")
sys.exit(same != len(pairs) or not pairs)
