"""Chunked decoding of diffusion autoencoders against unchunked, and what is heard at the seams.

Run:     python benchmarks/chunks.py RUN… [--record]    (runs of benchmarks/diffusion.py)
Prints:  for each model, chunk size and overlap the signal-to-noise ratio of the chunked result, the
         unchunked one being the signal, and the step from sample to sample at the seams, over that
         at the same places without chunks: 1 is no seam. "independent" decodes each chunk by
         itself, with noise of its own, as stable-audio-tools does.
Record:  --record writes benchmarks/results/chunks.json, beside the rows of other models.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor

import zoo
from zoo.data.synthesis import synthesise_clip

SECONDS, STEPS, SEED = 6.0, 20, 0
SOUNDS = ("tone", "chord", "pluck", "drum", "chirp", "noise")
RESULT = Path(__file__).parent / "results" / "chunks.json"


@dataclass(frozen=True)
class Row:
    """One way of decoding in chunks. Sizes are in latent frames."""

    model: str
    chunk_size: int
    overlap: int | str | None
    snr_db: float
    step_at_seams: float


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("runs", nargs="+", help="run folders")
    parser.add_argument("--record", action="store_true", help="write the figures to results/")
    options = parser.parse_args()
    rows = [row for run in options.runs for row in rows_of(run)]
    for row in rows:
        print(row)
    if options.record:
        known = json.loads(RESULT.read_text()) if RESULT.is_file() else {}
        made = {row.model for row in rows}
        alike = (known.get("seconds"), known.get("steps")) == (SECONDS, STEPS)
        kept = [row for row in known["rows"] if row["model"] not in made] if alike else []
        merged = sorted(kept + [asdict(row) for row in rows], key=lambda row: row["model"])
        content = {"seconds": SECONDS, "steps": STEPS, "rows": merged}
        RESULT.write_text(json.dumps(content, indent=2) + "\n")
    return 0


@torch.inference_mode()
def rows_of(run: str) -> list[Row]:
    model = zoo.from_checkpoint(run)
    kind = model.config.model.diffusion.type
    clip = synthesise_clip(90_300, SECONDS, model.sample_rate, model.in_channels, SOUNDS)
    latents = model.encode(clip[None])
    whole = model.decode(latents, steps=STEPS, seed=SEED)
    rows: list[Row] = []

    def add(chunk: int, overlap: int | str | None, result: Tensor) -> None:
        seams = torch.arange(chunk, latents.shape[-1], chunk) * model.downsampling_ratio
        rows.append(Row(kind, chunk, overlap, snr(result, whole), seam(result, whole, seams)))

    for chunk in (64, 128, 256):
        for overlap in (0, 16, 64, None):
            options = {"chunked": True, "chunk_size": chunk, "overlap": overlap}
            add(chunk, overlap, model.decode_audio(latents, steps=STEPS, seed=SEED, **options))
        parts = [
            model.decode(part, steps=STEPS, seed=SEED + number)
            for number, part in enumerate(latents.split(chunk, dim=-1), 1)
        ]
        add(chunk, "independent", torch.cat(parts, dim=-1))
    return rows


def snr(result: Tensor, whole: Tensor) -> float:
    """In dB, at most 150."""
    error = (result - whole).double().square().sum()
    ratio = whole.double().square().sum() / error.clamp(min=1e-30)
    return round(min(150.0, 10 * ratio.log10().item()), 1)


def seam(result: Tensor, whole: Tensor, seams: Tensor) -> float:
    """Root mean square of the steps into the seams, over that of the whole decoded at once."""
    steps, usual = (
        (x[..., seams] - x[..., seams - 1]).square().mean().sqrt() for x in (result, whole)
    )
    return round((steps / usual).item(), 3)


if __name__ == "__main__":
    sys.exit(main())
