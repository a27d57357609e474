"""Trains the policy that a round began with by TRL, on what the round kept: its examples or its preferences.

    pip install torch transformers datasets trl
    python examples/train_with_trl.py sft|dpo data/runs/tiny 1 OUT [UPDATES]

Run it in the repository's root. The tables are loaded as they are on disk, and the policy's own chat template makes text of
their messages; of a chat preset it knows neither system message nor examples, and is given them. Before anything is trained,
the tokens of every row are compared with those of question, solution and end token put together by hand, and what is learned of
them with the solution's. OUT becomes a Hugging Face directory.
"""

import json
import sys

import torch
from datasets import load_dataset
from prompt_text import policy_of, text_around
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import DPOConfig, DPOTrainer, SFTConfig, SFTTrainer


def chat_template(before, after):
    """A template for conversations of one question and one solution in a chat."""
    before, after = (json.dumps(text, ensure_ascii=False) for text in (before, after))
    return ("{%- for message in messages %}{%- if message.role == 'user' %}{{- " + before + " + message.content + "
            + after + " }}{%- else %}{{- message.content + eos_token }}{%- endif %}{%- endfor %}")


def by_hand(rows, column, before, after, tokenizer, end):
    """The tokens of each row, and what is learned of them: -100 is nothing."""
    encode = lambda text: tokenizer(text, add_special_tokens=False).input_ids
    for row in rows:
        (question,), (solution,) = row["prompt"], row[column]
        given, learned = encode(before + question["content"] + after), encode(solution["content"]) + [end]
        yield given + learned, [-100] * len(given) + learned


def by_trl(rows, column):
    """The same as a trainer has prepared it."""
    for row in rows:
        if column == "completion":
            yield row["input_ids"], row["labels"]
        else:
            given, learned = row["prompt_ids"], row[f"{column}_ids"]
            yield given + learned, [-100] * len(given) + learned


def trainer_of(method, model, tokenizer, rows, out, updates):
    shared = dict(
        output_dir=out, max_steps=updates, warmup_steps=updates // 10, per_device_train_batch_size=8, seed=0,
        bf16=torch.cuda.is_available(), logging_steps=max(1, updates // 5), save_strategy="no", report_to="none",
        disable_tqdm=True)
    if method == "sft":
        config, trainer = SFTConfig(learning_rate=3e-4, **shared), SFTTrainer
    else:
        config, trainer = DPOConfig(learning_rate=3e-5, **shared), DPOTrainer
    return trainer(model=model, args=config, train_dataset=rows, processing_class=tokenizer)


def main(method, run, round_, out, updates="50"):
    table, columns = {"sft": ("sft", ["completion"]), "dpo": ("preferences", ["chosen", "rejected"])}[method]
    format = policy_of(run)["format"]

    start = f"{run}/round-{int(round_) - 1:02}/policy"
    tokenizer = AutoTokenizer.from_pretrained(start)
    model = AutoModelForCausalLM.from_pretrained(start, dtype=torch.float32)
    before, after = text_around(format, tokenizer)
    own = tokenizer.chat_template
    if "chat" in format:
        tokenizer.chat_template = chat_template(before, after)

    rows = load_dataset(f"{run}/round-{int(round_):02}/{table}", split="train")
    trainer = trainer_of(method, model, tokenizer, rows, out, int(updates))
    end = model.config.eos_token_id
    end = end[0] if isinstance(end, list) else end
    for column in columns:
        wanted = list(by_hand(rows, column, before, after, tokenizer, end))
        found = list(by_trl(trainer.train_dataset, column))
        same = sum(one == other for one, other in zip(wanted, found))
        learned = sum(label != -100 for _, labels in wanted for label in labels)
        print(f"{column}: {same} of {len(wanted)} rows are the same; {learned} tokens are learned")
        if found != wanted:
            sys.exit("the template does not write what text.toml says")
    trainer.train()

    tokenizer.chat_template = own
    trainer.save_model(out)
    print(f"{out}: {updates} updates from {start}")


main(*sys.argv[1:])
