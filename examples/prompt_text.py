"""What the text.toml of a preset puts before and after a question; for the scripts beside it."""

import re
import tomllib
from pathlib import Path

# Stands for the question while the text around it is made.
QUESTION = "\uf8ff"


def settings(file):
    """The settings of a preset's file over those of the file that it extends; a table in braces replaces that of the base."""
    text = file.read_text()
    own = tomllib.loads(text)
    braces = re.findall(r"^([\w-]+) *= *\{", text, re.MULTILINE)

    def over(base, own):
        sections = {key for key, value in own.items() if isinstance(value, dict) and isinstance(base.get(key), dict)} - {*braces}
        return base | own | {key: over(base[key], own[key]) for key in sections}

    base = own.pop("extends", None)
    return over(settings(file.parent / base), own) if base else own


def policy_of(run):
    """The section [policy] of the preset that a run was made with."""
    preset = dict(word.split("=") for word in (Path(run) / "made-with").read_text().split())["PRESET"]
    return settings(Path(f"pipelines/{preset}/text.toml"))["policy"]


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
