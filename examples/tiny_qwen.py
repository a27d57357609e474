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

import gguf
import numpy as np
import torch
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

half_billion = sys.argv[1] == "--half-billion"
out, *texts = [Path(name) for name in sys.argv[1 + half_billion :]]
VOCABULARY, LEARNED = 151_936, 4_000
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
# Qwen2's: llama.cpp knows it by that name.
PATTERN = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
           r"|\s*[\r\n]+|\s+(?!\S)|\s+")
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
    split = pre_tokenizers.Split(Regex(PATTERN), "isolated")
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
    return config, model.state_dict(), ids


NAMES = {
    "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down",
    "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm",
}


def convert(full, config, weights, ids):
    writer = gguf.GGUFWriter(out / "model.gguf", "qwen2")
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_rope_freq_base(1e6)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_file_type(0)
    model = json.loads(full.to_str())["model"]
    tokens = [full.id_to_token(i) for i in range(VOCABULARY)]
    kinds = [gguf.TokenType.CONTROL if token in SPECIAL else gguf.TokenType.NORMAL for token in tokens]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_merges([" ".join(merge) if isinstance(merge, list) else merge for merge in model["merges"]])
    writer.add_bos_token_id(ids["<|endoftext|>"])
    writer.add_eos_token_id(ids["<|im_end|>"])
    writer.add_pad_token_id(ids["<|endoftext|>"])
    writer.add_add_bos_token(False)
    writer.add_chat_template(CHAT)

    def add(name, key):
        writer.add_tensor(name, weights[key].float().numpy().astype(np.float32))

    add("token_embd.weight", "model.embed_tokens.weight")
    add("output_norm.weight", "model.norm.weight")
    for layer in range(config.num_hidden_layers):
        for theirs, ours in NAMES.items():
            for end in ("weight", "bias"):
                key = f"model.layers.{layer}.{theirs}.{end}"
                if key in weights:
                    add(f"blk.{layer}.{ours}.{end}", key)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


full = tokenizer()
saved = save(full)
if not half_billion:
    convert(full, *saved)
