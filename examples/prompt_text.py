"""What the text.toml of a preset puts before and after a question; for the scripts beside it."""

import tomllib
from pathlib import Path

# Stands for the question while the text around it is made.
QUESTION = "\uf8ff"


def policy_of(run):
    """The section [policy] of the preset that a run was made with."""
    preset = dict(word.split("=") for word in (Path(run) / "made-with").read_text().split())["PRESET"]
    return tomllib.loads(Path(f"pipelines/{preset}/text.toml").read_text())["policy"]


def text_around(format, tokenizer):
    """The text before and after every question."""
    wrapped = lambda question: format["prefix"] + question + format["suffix"]
    examples = format.get("examples", [])
    if "chat" not in format:
        separator = format.get("separator", "\n\n")
        solved = [wrapped(one["question"]) + one["solution"] + separator for one in examples]
        return "".join([format.get("system", ""), *solved, wrapped(QUESTION)]).split(QUESTION)
    messages = [{"role": "system", "content": format["system"]}] if format.get("system") else []
    for one in examples:
        messages.append({"role": "user", "content": wrapped(one["question"])})
        messages.append({"role": "assistant", "content": one["solution"]})
    messages.append({"role": "user", "content": wrapped(QUESTION)})
    own = None if format["chat"] == "model" else format["chat"]["template"]
    text = tokenizer.apply_chat_template(messages, chat_template=own, tokenize=False, add_generation_prompt=True)
    return text.split(QUESTION)
