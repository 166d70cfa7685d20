"""A VAE trained for a short while, its noise full from the first update or grown over all of them.

Run:     python benchmarks/noise_warmup.py [--record] [--seeds 0 1 2] [--updates 300]
Work:    the recipe `starter`, with `schedule.noise_warmup_steps` 0 and as many as there are
         updates; nothing else differs.
Prints:  SI-SDR, mel and STFT distance of reconstructions of clips that were not trained on.
Record:  --record writes benchmarks/results/noise_warmup.json. The exit code is 1 unless the grown
         noise has the higher SI-SDR for every seed.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

import torch

import zoo
from zoo.config.resolve import resolve_recipe
from zoo.data.synthesis import synthesise_clip
from zoo.evaluation.metrics import Metrics, measure
from zoo.training.run import train

RATE, SECONDS, CLIPS, FIRST_SEED = 22050, 4.0, 8, 96_000
SOUNDS = ("tone", "chord", "pluck", "drum", "noise")
RESULT = Path(__file__).parent / "results" / "noise_warmup.json"


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--record", action="store_true", help="write the figures to results/")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--updates", type=int, default=300)
    options = parser.parse_args()
    torch.set_num_threads(1)
    clips = torch.stack(
        [synthesise_clip(FIRST_SEED + n, SECONDS, RATE, 2, SOUNDS) for n in range(CLIPS)]
    )
    rows = []
    for seed in options.seeds:
        for warmup in (0, options.updates):
            found = figures(seed, options.updates, warmup, clips)
            rows.append({"seed": seed, "noise_warmup_steps": warmup, **asdict(found)})
            print(rows[-1], flush=True)
    if options.record:
        content = {"updates": options.updates, "torch": torch.__version__, "rows": rows}
        RESULT.write_text(json.dumps(content, indent=2) + "\n")
    pairs = zip(rows[::2], rows[1::2], strict=True)
    return 0 if all(grown["si_sdr_db"] > full["si_sdr_db"] for full, grown in pairs) else 1


def figures(seed: int, updates: int, warmup: int, clips: torch.Tensor) -> Metrics:
    """Trains one model and measures it."""
    with tempfile.TemporaryDirectory(prefix="zoo-noise-") as folder:
        overrides = [
            f"seed={seed}",
            f"runs={folder}",
            f"trainer.max_steps={updates}",
            f"trainer.val_check_interval={updates}",
            f"optimizers.autoencoder.scheduler.config.T_max={updates}",
            f"schedule.noise_warmup_steps={warmup}",
            f"data.synthesis.sounds=[{','.join(SOUNDS)}]",
            "trainer.enable_progress_bar=false",
        ]
        run = train(resolve_recipe("starter", overrides=overrides))
        model = zoo.from_checkpoint(run.folder)
    with torch.inference_mode():
        decoded = model.decode(model.encode(clips))
    return measure(decoded[..., : clips.shape[-1]], clips, RATE)


if __name__ == "__main__":
    sys.exit(main())
