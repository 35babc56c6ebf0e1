"""Run a model on packed token ids, without the engine: for research and for training loops.

Run:     python examples/03_use_the_bare_model.py      (needs the extra `demo`)
Takes:   a few seconds
Prints:  the shape of the packed states, and the vectors' similarity
"""

import torch

import mgte
from mgte.packing import pack, pool


def main() -> None:
    """Load, pack two sequences, run the encoder, pool."""
    model = mgte.load_model("mgte-nano")
    batch = pack([[101, 1996, 2712, 9466, 102], [101, 14401, 3553, 2005, 1996, 4231, 102]])
    with torch.inference_mode():
        states = model.encoder(batch)
        vectors = pool(states, batch, "mean")
    print(f"{len(batch)} sequences of {batch.seqlens} tokens -> states {tuple(states.shape)}")
    print(f"cosine {torch.cosine_similarity(vectors[0], vectors[1], dim=0):.3f}")


if __name__ == "__main__":
    main()
