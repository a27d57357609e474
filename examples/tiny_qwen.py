"""Writes a small random model of Qwen2.5's shape, with a vocabulary of its size, as a Hugging Face directory and as GGUF.

    pip install torch transformers tokenizers gguf numpy
    python examples/tiny_qwen.py OUT [TEXT.jsonl ...]
    python examples/tiny_qwen.py --half-billion OUT [TEXT.jsonl ...]

The merges are learned from the questions and answers of the JSON lines (GSM8K's train.jsonl, for one); what is missing to
151,936 entries are words that no text has, so that the model is as wide at its ends as the real ones. The weights are
random: it is there to try the loop, a server and a GPU with, not to solve anything. With --half-billion it is as large as
Qwen2.5-0.5B, in bfloat16, and there is no GGUF.
"""

import json
import sys
from pathlib import Path

import torch
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

from to_gguf import QWEN_2, convert

half_billion = sys.argv[1] == "--half-billion"
out, *texts = [Path(name) for name in sys.argv[1 + half_billion :]]
VOCABULARY, LEARNED = 151_936, 4_000
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
CHAT = ("{%- for message in messages %}{{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}"
        "{%- endfor %}{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}")


SIZES = {
    False: dict(hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4),
    True: dict(hidden_size=896, intermediate_size=4864, num_hidden_layers=24, num_attention_heads=14),
}


def tokenizer():
    learned = Tokenizer(models.BPE())
    learned.normalizer = normalizers.NFC()
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    split = pre_tokenizers.Split(Regex(QWEN_2), "isolated")
    learned.pre_tokenizer = pre_tokenizers.Sequence([split, byte_level])
    learned.decoder = decoders.ByteLevel()
    rows = (json.loads(line) for path in texts for line in path.open())
    corpus = [text for row in rows for text in row.values() if isinstance(text, str)]
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    learned.train_from_iterator(corpus, trainers.BpeTrainer(vocab_size=LEARNED, initial_alphabet=alphabet, show_progress=False))
    model = json.loads(learned.to_str())
    vocabulary = model["model"]["vocab"]
    for i in range(len(vocabulary), VOCABULARY - len(SPECIAL)):
        vocabulary[f"\u0120unused{i}"] = i
    full = Tokenizer.from_str(json.dumps(model))
    full.add_special_tokens([AddedToken(token, special=True) for token in SPECIAL])
    return full


def save(full):
    ids = {token: full.token_to_id(token) for token in SPECIAL}
    config = Qwen2Config(
        vocab_size=VOCABULARY, **SIZES[half_billion], num_key_value_heads=2, max_position_embeddings=2048, rope_theta=1e6, rms_norm_eps=1e-6, tie_word_embeddings=True,
        bos_token_id=ids["<|endoftext|>"], eos_token_id=ids["<|im_end|>"], pad_token_id=ids["<|endoftext|>"])
    torch.manual_seed(0)
    model = Qwen2ForCausalLM(config)
    for name, weight in model.named_parameters():
        if name.endswith("bias"):
            torch.nn.init.normal_(weight, std=0.1)
    model.to(torch.bfloat16 if half_billion else torch.float32).save_pretrained(out)
    wrapped = PreTrainedTokenizerFast(tokenizer_object=full, eos_token="<|im_end|>", pad_token="<|endoftext|>")
    wrapped.chat_template = CHAT
    wrapped.save_pretrained(out)


full = tokenizer()
save(full)
if not half_billion:
    convert(out, out / "model.gguf")
