"""Checks that PEFT computes what a fine-tuned checkpoint with adapters is, beside the whole model that `finetune merge` made of it.

    pip install torch transformers peft
    finetune merge --model CHECKPOINT --out MERGED
    python examples/check_peft.py CHECKPOINT MERGED

CHECKPOINT is what `finetune policy` wrote with a `lora` section. With `precision = "bf16"` the merged weights are rounded, and they
differ.
"""

import json
import sys
from pathlib import Path

import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM

checkpoint, whole = sys.argv[1:]
load = lambda path: AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32).eval()
base = json.loads((Path(checkpoint) / "adapter_config.json").read_text())["base_model_name_or_path"]
plain = load(Path(checkpoint) / base)
ids = torch.tensor([[(i * 37 + 11) % 269 + 3 for i in range(48)]])
with torch.no_grad():
    before, merged = plain(ids).logits, load(whole)(ids).logits
    adapted = PeftModel.from_pretrained(plain, checkpoint)(ids).logits
learned, off = (merged - before).abs().max().item(), (merged - adapted).abs().max().item()
print(f"scores: merged from base {learned:.1e}, merged from adapted {off:.1e}")
change, kept = (adapted - before).flatten(), (merged - before).flatten()
print(f"of the adapted model's change, the merged weights have {change @ kept / (change @ change):.2f}")
sys.exit(not off < 1e-4 < learned)
