"""Fine-tunes a Hugging Face directory on exported examples: a trainer for `finetune policy --trainer external`.

    pip install torch transformers            # and peft for lora
    python examples/external_trainer.py INIT EXAMPLES VALIDATION OUT [name=value ...]

A preset runs it by its finetune.toml:

    external_trainer = "python examples/external_trainer.py {init} {examples} {validation} {out} updates={updates} seed={seed}"

EXAMPLES and VALIDATION are JSON lines: {"prompt": text, "completion": text, "weight": number}. Special tokens stand in them
by their text, and none is added; the loss is the mean over the completions' tokens, by weight. OUT becomes a Hugging Face
directory in 32 bits, with a training.json that says how many updates were made. The defaults are those of pipelines/tiny.
"""

import json
import random
import sys
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

DEFAULTS = {
    "updates": 0,        # as many as this; 0: as many as the epochs take
    "epochs": 3.0,
    "seed": 0,
    "rate": 1.5e-3,      # the learning rate after the warm-up
    "final_share": 0.05, # the share of it at the end
    "warmup_share": 0.05,
    "weight_decay": 0.05,
    "batch_tokens": 512, # an update's tokens, with padding
    "micro_tokens": 0,   # so many of them at once; 0: all
    "lora": 0,           # rank of the adapters; 0: all weights are trained
}
# Rows sorted by length at a time.
SORTED = 1024


def read(path, tokenizer):
    """The tokens of each line, where the completion begins, and the weight."""
    encode = lambda text: tokenizer(text, add_special_tokens=False).input_ids
    rows = []
    for line in map(json.loads, open(path, encoding="utf-8")):
        prompt = encode(line["prompt"])
        rows.append((prompt + encode(line["completion"]), len(prompt), line["weight"]))
    return rows


def cut(rows, most):
    """Sorted rows in batches of at most so many tokens with padding."""
    batches = []
    for row in rows:
        if batches and (len(batches[-1]) + 1) * len(row[0]) <= most:
            batches[-1].append(row)
        else:
            batches.append([row])
    return batches


def epoch(rows, most, rng):
    rows = rng.sample(rows, len(rows))
    chunks = (sorted(rows[at : at + SORTED], key=lambda row: len(row[0])) for at in range(0, len(rows), SORTED))
    batches = [batch for chunk in chunks for batch in cut(chunk, most)]
    rng.shuffle(batches)
    return batches


def plan(rows, options):
    rng = random.Random(options["seed"])
    batches = epoch(rows, options["batch_tokens"], rng)
    total = options["updates"] or max(1, round(options["epochs"] * len(batches)))
    while len(batches) < total:
        batches += epoch(rows, options["batch_tokens"], rng)
    return batches[:total]


def weight(rows):
    return sum((len(ids) - start) * weight for ids, start, weight in rows)


def loss(model, rows):
    """The sum of the completions' losses, by weight."""
    longest = max(len(ids) for ids, _, _ in rows)
    tokens = torch.tensor([ids + [0] * (longest - len(ids)) for ids, _, _ in rows], device=model.device)
    there = torch.tensor([[1] * len(ids) + [0] * (longest - len(ids)) for ids, _, _ in rows], device=model.device)
    weights = [[0.0] * start + [weight] * (len(ids) - start) + [0.0] * (longest - len(ids)) for ids, start, weight in rows]
    weights = torch.tensor(weights, device=model.device)[:, 1:]
    with torch.autocast(model.device.type, torch.bfloat16, enabled=model.device.type == "cuda"):
        logits = model(input_ids=tokens, attention_mask=there).logits[:, :-1]
    learned = weights > 0
    losses = torch.nn.functional.cross_entropy(logits[learned].float(), tokens[:, 1:][learned], reduction="none")
    return (losses * weights[learned]).sum()


def mean_loss(model, rows, most):
    model.eval()
    with torch.no_grad():
        batches = cut(sorted(rows, key=lambda row: len(row[0])), most)
        return sum(loss(model, batch).item() for batch in batches) / weight(rows)


def share_of_rate(update, total, options):
    """Linear up, and linear down to the final share."""
    warm = options["warmup_share"] * total
    if update < warm:
        return (update + 1) / (warm + 1)
    left = (total - update) / max(1.0, total - warm)
    return options["final_share"] + (1 - options["final_share"]) * left


def train(model, rows, options):
    matrices = [p for p in model.parameters() if p.requires_grad and p.dim() > 1]
    others = [p for p in model.parameters() if p.requires_grad and p.dim() == 1]
    groups = [{"params": matrices, "weight_decay": options["weight_decay"]}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=options["rate"], betas=(0.9, 0.98))
    batches = plan(rows, options)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda at: share_of_rate(at, len(batches), options))
    model.train()
    for update, batch in enumerate(batches, 1):
        value = 0.0
        for part in cut(batch, options["micro_tokens"] or options["batch_tokens"]):
            part = loss(model, part) / weight(batch)
            part.backward()
            value += part.item()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        if update % max(1, len(batches) // 20) == 0:
            print(f"update {update} of {len(batches)}: loss {value:.4f}", flush=True)
    return len(batches)


def main(init, examples, validation, out, *changes):
    options = dict(DEFAULTS)
    for name, value in (change.split("=") for change in changes):
        options[name] = type(DEFAULTS[name])(value)
    torch.manual_seed(options["seed"])
    tokenizer = AutoTokenizer.from_pretrained(init)
    model = AutoModelForCausalLM.from_pretrained(init, dtype=torch.float32)
    model.to("cuda" if torch.cuda.is_available() else "cpu")
    if options["lora"]:
        import peft

        adapters = peft.LoraConfig(r=options["lora"], lora_alpha=2 * options["lora"], target_modules="all-linear")
        model = peft.get_peft_model(model, adapters)
    rows, judged = read(examples, tokenizer), read(validation, tokenizer)
    record = {"examples": len(rows), "validation_loss_before": mean_loss(model, judged, options["batch_tokens"])}
    record["updates"] = train(model, rows, options)
    record["validation_loss"] = mean_loss(model, judged, options["batch_tokens"])
    if options["lora"]:
        model = model.merge_and_unload()
    model.save_pretrained(out)
    tokenizer.save_pretrained(out)
    Path(out, "training.json").write_text(json.dumps(record, indent=2))
    print(json.dumps(record))


main(*sys.argv[1:])
