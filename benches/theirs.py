"""The other side of `make bench`: PyTorch with transformers, and llm-reasoners' MCTS on transformers, on the checkpoints
that compare.py wrote. One job a process, as crates/lm/examples/measure.rs does them.

    python theirs.py train  CHECKPOINT --rows 32 --tokens 128 --times 4 --threads 1
    python theirs.py decode CHECKPOINT --rows 64 --tokens 64 --new 64 --times 4 --threads 1
    python theirs.py reasoners CHECKPOINT --tokens 820 --width 4 --option 16 --nodes 40 --threads 1
    python theirs.py treequest --nodes 200
"""

import argparse
import json
import time


def row(index, tokens, vocabulary):
    """Token ids that differ from row to row; the same as in measure.rs."""
    return [(index * 7919 + at * 104_729) % (vocabulary - 32) + 32 for at in range(tokens)]


def load(args):
    import torch
    from transformers import AutoModelForCausalLM

    torch.set_num_threads(args.threads)
    dtype = torch.bfloat16 if args.precision == "bf16" else torch.float32
    return torch, AutoModelForCausalLM.from_pretrained(args.checkpoint, dtype=dtype).to(args.device)


def train(args):
    """Updates by AdamW with the norm of the gradient clipped, as eager PyTorch does them; with `--rank` of PEFT's adapters."""
    torch, model = load(args)
    if args.rank:
        from peft import LoraConfig, get_peft_model

        model = get_peft_model(model, LoraConfig(r=args.rank, lora_alpha=2 * args.rank, target_modules="all-linear"))
    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, betas=(0.9, 0.98), weight_decay=0.05)
    for step in range(args.times):
        rows = [row(step * args.rows + i, args.tokens, model.config.vocab_size) for i in range(args.rows)]
        begin = row(0, args.shared, model.config.vocab_size)
        rows = [begin + ids[args.shared:] for ids in rows]
        ids = torch.tensor(rows, device=args.device)
        labels = ids.clone()
        labels[:, : args.from_] = -100
        optimizer.zero_grad()
        # The gradients of micro-batches of the same size are added up.
        parts = args.parts or 1
        for ids, labels in zip(ids.chunk(parts), labels.chunk(parts)):
            loss = model(ids, labels=labels).loss
            (loss / parts).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        print(f"loss {loss.item():.4f}")


def written(torch, model, rows, new, **how):
    """The rows continued by `generate`, with its cache, for exactly so many tokens."""
    ids = torch.tensor(rows, device=model.device)
    with torch.inference_mode():
        return model.generate(
            ids, attention_mask=torch.ones_like(ids), min_new_tokens=new, max_new_tokens=new, pad_token_id=0, **how
        )


def decode(args):
    """Greedy continuations."""
    torch, model = load(args)
    model.eval()
    rows = [row(i, args.tokens, model.config.vocab_size) for i in range(args.rows)]
    for _ in range(args.times):
        out = written(torch, model, rows, args.new, do_sample=False)
        print(out[0, args.tokens : args.tokens + 8].tolist())


def reasoners(args):
    """MCTS of llm-reasoners: the options of a node are sampled by `generate`, and every child is judged by a pass of the
    model over its whole text, which stands for a value head. Its language model classes do the same, and more."""
    from reasoners import SearchConfig, WorldModel
    from reasoners.algorithm import MCTS

    torch, model = load(args)
    model.eval()
    torch.manual_seed(0)
    judged = 0

    class World(WorldModel):
        def init_state(self):
            return row(0, args.tokens, model.config.vocab_size)

        def step(self, state, action):
            return state + action, {}

        def is_terminal(self, state):
            return len(state) >= args.tokens + 8 * args.option

    class Search(SearchConfig):
        def get_actions(self, state):
            out = written(torch, model, [state], args.option, do_sample=True, num_return_sequences=args.width)
            return out[:, len(state) :].tolist()

        def fast_reward(self, state, action):
            nonlocal judged
            judged += 1
            with torch.inference_mode():
                hidden = model.model(torch.tensor([state + action])).last_hidden_state
            return torch.sigmoid(hidden[0, -1].mean()).item(), {}

        def reward(self, state, action, **kwargs):
            return 0.5, {}

    # An iteration goes down to a leaf; one expands several nodes.
    search = MCTS(n_iters=1, depth_limit=8)
    while judged < args.nodes:
        search(World(), Search())
    print(json.dumps({"nodes": judged}))


def treequest_(args):
    """The search of treequest alone, with answers for free."""
    import random

    import treequest

    draw = random.Random(0)
    algorithm = treequest.ABMCTSA()
    tree = algorithm.init_tree()
    begun = time.perf_counter()
    for _ in range(args.nodes):
        tree = algorithm.step(tree, {"option": lambda parent: ("text", draw.random())})
    print(json.dumps({"nodes": args.nodes, "seconds": time.perf_counter() - begun}))


def main():
    parser = argparse.ArgumentParser()
    jobs = {"train": train, "decode": decode, "reasoners": reasoners, "treequest": treequest_}
    parser.add_argument("job", choices=jobs)
    parser.add_argument("checkpoint", nargs="?")
    for name in ["rows", "shared", "tokens", "new", "times", "width", "option", "nodes", "rank", "parts"]:
        parser.add_argument(f"--{name}", type=int, default=0)
    parser.add_argument("--from", dest="from_", type=int, default=0)
    parser.add_argument("--precision", choices=["f32", "bf16"], default="f32")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    args = parser.parse_args()
    jobs[args.job](args)


if __name__ == "__main__":
    main()
