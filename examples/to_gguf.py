"""Writes a Hugging Face directory as GGUF for llama.cpp's server: a policy of some round, for one.

    pip install gguf numpy
    python examples/to_gguf.py data/runs/mine/round-01/policy policy.gguf         # in 32 bits
    python examples/to_gguf.py data/runs/mine/round-01/policy policy.gguf bf16    # matrices in bfloat16

For models of the Llama, Mistral, Qwen2 and Qwen3 families without rope scaling, whose tokenizer splits texts in a way that
llama.cpp has a name for; what is different is refused. llama.cpp's own convert_hf_to_gguf.py knows more, and wants PyTorch.
"""

import json
import sys
from pathlib import Path

import gguf
import numpy as np

ARCHITECTURES = {"llama": "llama", "mistral": "llama", "qwen2": "qwen2", "qwen3": "qwen3"}
NAMES = {
    "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output",
    "self_attn.q_norm": "attn_q_norm", "self_attn.k_norm": "attn_k_norm",
    "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down",
    "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm",
}
QWEN_2 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
          r"|\s*[\r\n]+|\s+(?!\S)|\s+")
LLAMA_3 = QWEN_2.replace(r"|\p{N}|", r"|\p{N}{1,3}|")


def split_name(pre_tokenizer):
    """llama.cpp's name for how a tokenizer splits a text before it merges."""
    parts = pre_tokenizer.get("pretokenizers", [pre_tokenizer]) if pre_tokenizer else []
    patterns = [part.get("pattern", {}).get("Regex") for part in parts if part["type"] == "Split"]
    kinds = [part["type"] for part in parts]
    by_itself = parts and parts[-1]["type"] == "ByteLevel" and parts[-1].get("use_regex", True)
    if patterns in ([QWEN_2], [LLAMA_3]) and not by_itself:
        return "qwen2" if patterns == [QWEN_2] else "llama-bpe"
    if kinds == ["ByteLevel"] and by_itself:
        return "gpt-2"
    if kinds == ["Digits", "ByteLevel"] and parts[0]["individual_digits"] and by_itself:
        return "starcoder"
    sys.exit(f"llama.cpp has no name for how this tokenizer splits texts: {json.dumps(pre_tokenizer)}")


def tensors(directory):
    """All weights, in 32 bits, by name."""
    index = directory / "model.safetensors.index.json"
    files = sorted(set(json.loads(index.read_text())["weight_map"].values())) if index.exists() else ["model.safetensors"]
    for file in files:
        data = (directory / file).read_bytes()
        start = 8 + int.from_bytes(data[:8], "little")
        for name, entry in json.loads(data[8:start]).items():
            if name == "__metadata__":
                continue
            begin, end = entry["data_offsets"]
            raw = data[start + begin : start + end]
            if entry["dtype"] == "BF16":
                values = (np.frombuffer(raw, np.uint16).astype(np.uint32) << 16).view(np.float32)
            else:
                values = np.frombuffer(raw, {"F32": np.float32, "F16": np.float16}[entry["dtype"]])
            yield name, values.astype(np.float32).reshape(entry["shape"])


def turned(weight, heads):
    """Rows of queries or keys, paired as llama.cpp's Llama turns them: neighbours, not halves of a head."""
    return weight.reshape(heads, 2, weight.shape[0] // heads // 2, *weight.shape[1:]).swapaxes(1, 2).reshape(weight.shape)


def write_settings(writer, config, stored):
    heads = config["num_attention_heads"]
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(heads)
    writer.add_head_count_kv(config.get("num_key_value_heads") or heads)
    rope = config.get("rope_parameters") or {}
    scaling = config.get("rope_scaling") or rope
    if scaling.get("rope_type", scaling.get("type", "default")) != "default":
        sys.exit("rope scaling is not supported here")
    writer.add_rope_freq_base(float(rope.get("rope_theta") or config.get("rope_theta") or 10000.0))
    head = config.get("head_dim") or config["hidden_size"] // heads
    writer.add_rope_dimension_count(head)
    writer.add_key_length(head)
    writer.add_value_length(head)
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_vocab_size(config["vocab_size"])
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_BF16 if stored == "bf16" else gguf.LlamaFileType.ALL_F32)


def write_tokenizer(writer, directory, config):
    tokenizer = json.loads((directory / "tokenizer.json").read_text())
    model, added = tokenizer["model"], tokenizer["added_tokens"]
    texts = {id: text for text, id in model["vocab"].items()} | {token["id"]: token["content"] for token in added}
    special = {token["id"] for token in added if token["special"]}
    tokens, kinds = [], []
    for id in range(config["vocab_size"]):
        tokens.append(texts.get(id, f"[PAD{id}]"))
        unused = gguf.TokenType.UNUSED if id not in texts else gguf.TokenType.NORMAL
        kinds.append(gguf.TokenType.CONTROL if id in special else unused)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(split_name(tokenizer["pre_tokenizer"]))
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_merges([merge if isinstance(merge, str) else " ".join(merge) for merge in model["merges"]])
    end = config["eos_token_id"]
    writer.add_eos_token_id(end[0] if isinstance(end, list) else end)
    for name, add in [("bos_token_id", writer.add_bos_token_id), ("pad_token_id", writer.add_pad_token_id)]:
        if config.get(name) is not None:
            add(config[name])
    # The texts of the stages say themselves how they begin.
    writer.add_add_bos_token(False)
    template = directory / "chat_template.jinja"
    if template.exists():
        writer.add_chat_template(template.read_text())


def write_weights(writer, directory, config, architecture, stored):
    heads = config["num_attention_heads"]

    def add(name, weight):
        if stored == "bf16" and weight.ndim == 2:
            short = gguf.GGMLQuantizationType.BF16
            writer.add_tensor(name, gguf.quants.quantize(weight, short), raw_dtype=short)
        else:
            writer.add_tensor(name, weight)

    turns = {"self_attn.q_proj": heads, "self_attn.k_proj": config.get("num_key_value_heads") or heads}
    for name, weight in tensors(directory):
        kind, _, end = name.removeprefix("model.").rpartition(".")
        if kind == "embed_tokens":
            add("token_embd.weight", weight)
        elif kind == "norm":
            add("output_norm.weight", weight)
        elif kind == "lm_head":
            add("output.weight", weight)
        elif kind.startswith("layers."):
            _, layer, part = kind.split(".", 2)
            if architecture == "llama" and part in turns:
                weight = turned(weight, turns[part])
            add(f"blk.{layer}.{NAMES[part]}.{end}", weight)
        else:
            sys.exit(f"no place for the tensor {name}")


def convert(directory, out, stored="f32"):
    config = json.loads((directory / "config.json").read_text())
    architecture = ARCHITECTURES.get(config["model_type"])
    if architecture is None:
        sys.exit(f"model_type {config['model_type']} is not supported here")
    writer = gguf.GGUFWriter(out, architecture)
    write_settings(writer, config, stored)
    write_tokenizer(writer, directory, config)
    write_weights(writer, directory, config, architecture, stored)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    convert(Path(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:])
