"""Warnings of `zoo validate`, and the schema's own example of a diffusion autoencoder."""

from __future__ import annotations

import json
from pathlib import Path

import torch

from tests.examples import DIFFUSION
from zoo.config.load import load_config
from zoo.factory import create_model_from_config

WHERE = "model.diffusion.config.patch_size"
WARNING = "1 means 44,100 tokens per second of audio, and attention over all of them"


def warning(file: str) -> str:
    return f"zoo: warning: {file}: {WHERE}: {WARNING}"


def test_the_diffusion_example_is_refused_with_its_problem(call):
    Path("diffusion.json").write_text(json.dumps(DIFFUSION))
    code, out, err = call("validate", "diffusion.json")
    assert (code, out) == (2, "")
    assert err == (
        "zoo: error: diffusion.json: model.encoder.config.strides: 2x4x8x8 = 512, but "
        "model.downsampling_ratio is 1024\n"
    )


def test_it_is_mended_with_a_warning_and_builds(call):
    Path("diffusion.json").write_text(json.dumps(DIFFUSION))
    code, out, err = call("validate", "--fix", "diffusion.json")
    assert (code, err.count("\n")) == (0, 1)
    assert "model.downsampling_ratio: 1024 -> 512" in out
    assert err.startswith(warning("diffusion.fixed.json"))
    for advised in ("patch_size", "pretransform", "sliding_window"):
        assert advised in err.partition(";")[2]
    code, out, err = call("validate", "diffusion.fixed.json")
    assert (code, out) == (0, "diffusion.fixed.json: ok\n")
    assert err.startswith(warning("diffusion.fixed.json"))
    code, out, err = call("validate", "--fix", "diffusion.fixed.json")
    assert (code, "nothing to mend" in out) == (0, True)
    assert err.startswith(warning("diffusion.fixed.json"))

    loaded = load_config("diffusion.fixed.json")
    assert loaded.model.diffusion.config.input_concat_dim == 2
    assert load_config(loaded.to_dict()) == loaded
    with torch.device("meta"):
        model = create_model_from_config(loaded)
    weights = sum(weight.numel() for weight in model.parameters())
    assert (weights, model.min_length) == (153_761_430, 512)


def test_warnings_are_printed_as_json_too(call, tiny):
    fixed = {**DIFFUSION, "model": {**DIFFUSION["model"], "downsampling_ratio": 512}}
    for name, config in (("bad", DIFFUSION), ("fixed", fixed), ("tiny", tiny)):
        Path(f"{name}.json").write_text(json.dumps(config))
    code, out, err = call("validate", "--json", "bad.json", "fixed.json", "tiny.json")
    bad, warned, sound = json.loads(out)
    assert (code, err) == (2, "")
    assert (bad["ok"], len(bad["problems"]), bad["warnings"]) == (False, 1, [])
    (only,) = warned["warnings"]
    assert (warned["ok"], warned["problems"], only["path"]) == (True, [], WHERE)
    assert only["message"].startswith(WARNING)
    assert sound == {"file": "tiny.json", "ok": True, "problems": [], "warnings": []}


def test_recipes_are_warned_of_too(call):
    model = {**DIFFUSION["model"], "downsampling_ratio": 512}
    recipe = {"sample_rate": 44100, "model": model, "data": {"segment_samples": 51200}}
    Path("mine.json").write_text(json.dumps(recipe))
    code, _, err = call("validate", "mine.json")
    assert code == 0
    assert err.startswith(warning("mine.json"))
