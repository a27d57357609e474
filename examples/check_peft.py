"""Checks that a model with the adapters of a fine-tuned checkpoint is the checkpoint, in transformers and PEFT.

    pip install torch transformers peft
    python examples/check_peft.py BASE CHECKPOINT

BASE is what `finetune policy` began with, CHECKPOINT what it wrote with a `lora` section. With `precision = "bf16"` the checkpoint is
rounded, and they differ.
"""

import sys

import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM

base, checkpoint = sys.argv[1:]
load = lambda path: AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32).eval()
plain = load(base)
ids = torch.tensor([[(i * 37 + 11) % 269 + 3 for i in range(48)]])
with torch.no_grad():
    before, merged = plain(ids).logits, load(checkpoint)(ids).logits
    adapted = PeftModel.from_pretrained(plain, f"{checkpoint}/adapter")(ids).logits
learned, off = (merged - before).abs().max().item(), (merged - adapted).abs().max().item()
print(f"scores: merged from base {learned:.1e}, merged from adapted {off:.1e}")
change, kept = (adapted - before).flatten(), (merged - before).flatten()
print(f"of the adapted model's change, the merged weights have {change @ kept / (change @ change):.2f}")
sys.exit(not off < 1e-4 < learned)
