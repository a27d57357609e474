"""Fine-tunes a Hugging Face directory by TRL on exported examples: another trainer for `finetune policy --trainer external`,
which torchrun or accelerate starts on several cards or machines.

    pip install torch transformers trl accelerate datasets

A preset runs it by its finetune.toml:

    external_trainer = "torchrun --nproc-per-node 2 examples/trl_trainer.py {init} {examples} {validation} {out} {updates} {seed}"

The files are those of examples/external_trainer.py; TRL reads them as they are. It does not know the column `weight`, so rows
that do not all weigh the same are refused. UPDATES of 0 are three epochs.
"""

import json
import sys
from pathlib import Path

import torch
from datasets import load_dataset
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import SFTConfig, SFTTrainer


def settings(out, updates, seed, judged):
    return SFTConfig(
        output_dir=out, num_train_epochs=3, max_steps=int(updates) or -1, seed=int(seed), data_seed=int(seed),
        per_device_train_batch_size=8, per_device_eval_batch_size=8, learning_rate=1e-3, warmup_steps=0.05,
        lr_scheduler_type="linear", weight_decay=0.05, adam_beta2=0.98, max_grad_norm=1.0, max_length=None,
        bf16=torch.cuda.is_available(), use_cpu=not torch.cuda.is_available(), completion_only_loss=True, eval_strategy="epoch" if judged else "no",
        save_strategy="no", report_to="none", logging_steps=10, disable_tqdm=True)


def main(init, examples, validation, out, updates, seed):
    judged = Path(validation).stat().st_size > 0
    files = {"train": examples} | ({"validation": validation} if judged else {})
    rows = load_dataset("json", data_files=files, cache_dir=f"{out}/cache")
    if len(set(rows["train"]["weight"])) > 1:
        sys.exit(f"{examples}: the rows weigh differently, which TRL cannot do")
    tokenizer = AutoTokenizer.from_pretrained(init)
    model = AutoModelForCausalLM.from_pretrained(init, dtype=torch.float32)
    trainer = SFTTrainer(
        model=model, args=settings(out, updates, seed, judged), train_dataset=rows["train"],
        eval_dataset=rows.get("validation"), processing_class=tokenizer)
    trainer.train()
    record = {"examples": len(rows["train"]), "updates": trainer.state.global_step}
    if judged:
        record["validation_loss"] = trainer.evaluate()["eval_loss"]
    trainer.save_model(out)
    if trainer.is_world_process_zero():
        Path(out, "training.json").write_text(json.dumps(record, indent=2))


main(*sys.argv[1:])
