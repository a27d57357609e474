"""Serves a GGUF file with llama.cpp, for trying a policy behind a server on one machine.

    pip install xllamacpp
    python examples/llama_server.py OUT/model.gguf 8080 [THREADS [SLOTS TOKENS]]     # until it is interrupted
    make round PRESET=smoke-chat RUN=served SERVER=http://127.0.0.1:8080/v1 ...

Keys and values are kept in 32 bits, so that greedy answers can be compared with those of the same model here. SLOTS is how many
requests are answered at once, 8 by default, and TOKENS the context of each.
"""

import signal
import sys

import xllamacpp

params = xllamacpp.CommonParams()
params.model.path = sys.argv[1]
params.port = int(sys.argv[2])
params.n_parallel, tokens = map(int, sys.argv[4:6] or [8, 2048])
params.n_ctx = tokens * params.n_parallel
params.cache_type_k = params.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32
if len(sys.argv) > 3:
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = int(sys.argv[3])
server = xllamacpp.Server(params)
print(f"listening on {server.listening_address}/v1", flush=True)
signal.sigwait({signal.SIGINT, signal.SIGTERM})
