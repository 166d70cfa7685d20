"""From a file to a ready model: time and memory, against stable-audio-tools; and a full round trip.

Run:     python benchmarks/load.py [--repeats 5] [--threads 2] [--record]
Work:    the config `oobleck_vae_44k` (156 M weights) with random weights, written once to a
         temporary folder in each form and read from the disk's cache. stable-audio-tools does
         what its `get_pretrained_model` does with a downloaded file. Each load is in a process of
         its own, which has loaded a tiny model of the same kind before, so that no import counts;
         the sides take turns.
Figures: medians of the time, and of the most memory that the process held (peak of the resident
         set) over what it held before, in parts of the weights in single precision. Goals: 3 times
         as fast, and at most 1.2 times the weights.
         Then, what is exported for stable-audio-tools and diffusers is opened by them, and encoding
         and decoding half a second compared with ours: the largest differences.
Needs:   Linux, whose peak can be reset; 3 GB of disk, 4 GB of memory. A small trial: --channels 4.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from resident import resident
from safetensors.torch import save_file

import zoo
from zoo.interop import quiet

RESULT = Path(__file__).parent / "results" / "load.json"
CONFIG = Path(__file__).parents[1] / "configs" / "oobleck_vae_44k.json"
# Who loads, and which file.
SIDES = {
    "stable-audio-tools, .safetensors": "plain/model.safetensors",
    "zoo, .safetensors": "plain/model.safetensors",
    "zoo, exported (checksums compared)": "exported/model.safetensors",
    "zoo, exported in half precision": "half/model.safetensors",
    "stable-audio-tools, .ckpt": "ckpt/model.ckpt",
    "zoo, .ckpt (checksums compared)": "ckpt/model.ckpt",
}
THEIRS = "stable-audio-tools, .safetensors"


@dataclass(frozen=True)
class Load:
    """One load: seconds, bytes over what was held before, and the sum of all weights."""

    seconds: float
    bytes: int
    total: float


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--channels", type=int, default=128, help="width of the network")
    parser.add_argument("--record", action="store_true", help="write the figures to results/")
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    if given.child:
        side, file, tiny = given.child
        print(json.dumps(asdict(measured(side, Path(file), Path(tiny)))))
        return 0
    with tempfile.TemporaryDirectory(prefix="zoo-load-") as place:
        folder = Path(place)
        write_files(folder / "tiny", 4)
        weights = write_files(folder / "full", given.channels)
        loads: dict[str, list[Load]] = {side: [] for side in SIDES}
        for _ in range(given.repeats):
            for side in SIDES:
                loads[side].append(in_child(side, folder, given.threads))
        rows = summary(loads, weights)
        print(json.dumps(rows, indent=2), flush=True)
        differences = round_trip(folder / "full")
        print(differences)
    if given.record:
        content = {
            "threads": given.threads,
            "repeats": given.repeats,
            "weights_mb": round(weights / 1e6, 1),
            "rows": rows,
            "round_trip": differences,
        }
        RESULT.write_text(json.dumps(content, indent=2) + "\n")
    return 0


def write_files(folder: Path, channels: int) -> int:
    """The same random weights in every form; bytes of the weights."""
    config = json.loads(CONFIG.read_text())
    for side in ("encoder", "decoder"):
        config["model"][side]["config"]["channels"] = channels
    # diffusers has one number for both.
    config["model"]["encoder"]["config"]["latent_dim"] = channels
    config["model"]["decoder"]["config"]["latent_dim"] = config["model"]["latent_dim"] = (
        channels // 2
    )
    torch.manual_seed(0)
    model = zoo.from_config(config)
    state = model.state_dict()
    for name in ("plain", "ckpt"):
        (folder / name).mkdir(parents=True)
        (folder / name / "model_config.json").write_text(json.dumps(model.config.to_dict()))
    save_file(state, folder / "plain" / "model.safetensors")
    torch.save({"state_dict": state}, folder / "ckpt" / "model.ckpt")
    zoo.export(model, "zoo", folder / "exported")
    zoo.export(model, "zoo", folder / "half", half=True)
    return sum(value.nbytes for value in state.values())


def in_child(side: str, folder: Path, threads: int) -> Load:
    files = (folder / size / SIDES[side] for size in ("full", "tiny"))
    command = [sys.executable, __file__, "--threads", str(threads), "--child", side]
    done = subprocess.run(
        [*command, *map(str, files)], check=True, stdout=subprocess.PIPE, text=True
    )
    return Load(**json.loads(done.stdout.splitlines()[-1]))


def measured(side: str, file: Path, tiny: Path) -> Load:
    warnings.simplefilter("ignore")
    load = upstreams if side.startswith("stable-audio-tools") else ours
    load(tiny)
    Path("/proc/self/clear_refs").write_text("5")
    before, begun = resident("VmRSS"), time.perf_counter()
    model = load(file)
    seconds = time.perf_counter() - begun
    over = resident("VmHWM") - before
    total = sum(value.double().sum().item() for value in model.state_dict().values())
    return Load(seconds, over, total)


def ours(file: Path) -> Any:
    return zoo.from_pretrained(file)


def upstreams(file: Path) -> Any:
    """As `get_pretrained_model` goes on once the files are there."""
    with quiet():
        # Imported first: the factory imports it once it builds.
        import stable_audio_tools.models.autoencoders  # noqa: F401
        from stable_audio_tools.models.factory import create_model_from_config
        from stable_audio_tools.models.utils import load_ckpt_state_dict

        model = create_model_from_config(
            json.loads(file.with_name("model_config.json").read_text())
        )
        model.load_state_dict(load_ckpt_state_dict(str(file)))
    return model


def summary(loads: dict[str, list[Load]], weights: int) -> dict[str, dict[str, float]]:
    rows: dict[str, dict[str, float]] = {}
    for side, given in loads.items():
        rows[side] = {
            "seconds": round(statistics.median(load.seconds for load in given), 3),
            "peak_in_weights": round(statistics.median(load.bytes for load in given) / weights, 3),
        }
    for side, row in rows.items():
        theirs = side if side.startswith("stable-audio-tools") else THEIRS
        if side.startswith("zoo, .ckpt"):
            theirs = "stable-audio-tools, .ckpt"
        row["times_as_fast"] = round(rows[theirs]["seconds"] / row["seconds"], 2)
    # All but the halved are the very same weights.
    totals = {load.total for side, given in loads.items() if "half" not in side for load in given}
    assert len(totals) == 1, totals
    return rows


@torch.no_grad()
def round_trip(folder: Path) -> dict[str, float]:
    """The largest differences of the means and of the audio from ours, in other packages."""
    from diffusers import AutoencoderOobleck

    model = zoo.from_pretrained(folder / "exported")
    zoo.export(model, "stable-audio-tools", folder / "theirs")
    zoo.export(model, "diffusers", folder / "vae")
    torch.manual_seed(1)
    audio = 0.3 * torch.randn(1, model.in_channels, 11 * model.downsampling_ratio)
    latents = model.encode(audio)
    decoded = model.decode(latents)
    theirs = upstreams(folder / "theirs" / "model.safetensors").eval()
    mean = theirs.encode(audio, skip_bottleneck=True)[:, : model.latent_dim]
    found = {
        "stable-audio-tools, encode": mean - latents,
        "stable-audio-tools, decode": theirs.decode(latents) - decoded,
    }
    del theirs
    vae = AutoencoderOobleck.from_pretrained(folder / "vae").eval()
    found["diffusers, encode"] = vae.encode(audio).latent_dist.mode() - latents
    found["diffusers, decode"] = vae.decode(latents).sample - decoded
    found["zoo, encode"] = zoo.from_pretrained(folder / "vae").encode(audio) - latents
    return {name: float(f"{value.abs().max():.2e}") for name, value in found.items()}


if __name__ == "__main__":
    sys.exit(main())
