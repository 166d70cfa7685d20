"""The command line as a user meets it: one message for each mistake, exit code 2."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
import soundfile
import torch

import zoo
from tests.examples import STANDARD, random_seanet, random_taae
from zoo.config import library
from zoo.data.files import probe, read_audio
from zoo.inference.latents import Latents


def sound(path: str, channels: int = 1, rate: int = 22050, samples: int = 5000) -> str:
    soundfile.write(path, 0.3 * torch.randn(samples, channels).clamp(-3, 3).numpy(), rate)
    return path


@pytest.mark.parametrize(
    ("name", "channels", "rate", "samples"),
    [("a.wav", 1, 22050, 5001), ("b.mp3", 1, 22050, 9000), ("c.flac", 2, 48000, 333)],
)
def test_encode_and_decode(call, run, name, channels, rate, samples):
    sound(name, channels, rate, samples)
    code, out, err = call("encode", name, "--model", run, "--device", "cpu")
    assert code == 0
    assert f"using {run}" in err
    latents = Path(name).with_suffix(".safetensors")
    assert str(latents) in out
    assert Latents.load(latents).channels == channels
    code, out, _ = call("decode", latents, "-m", run)
    assert code == 0
    result = probe(latents.with_suffix(".decoded.wav"))
    expected = probe(name)
    assert (result.samples, result.sample_rate) == (expected.samples, rate)
    assert result.channels == channels


def test_reconstruct_prints_figures_and_leaves_the_input(call, run):
    before = Path(sound("a.wav")).read_bytes()
    code, out, _ = call("reconstruct", "a.wav", "--model", run)
    assert code == 0
    assert "SI-SDR" in out
    assert Path("a.wav").read_bytes() == before
    assert read_audio("a.reconstructed.wav").values.shape == (1, 5000)


def test_without_a_model_the_newest_run_is_taken_or_the_one_that_comes_with_zoo(
    call, run, tmp_path
):
    sound("a.wav")
    code, _, err = call("encode", "a.wav")
    assert code == 0
    why, using, note = err.splitlines()
    assert why == "zoo: no --model, and no run under runs/: the small model that comes with zoo"
    assert "starter_22k.safetensors" in using
    assert "made-up sounds" in note
    (tmp_path / "runs").symlink_to(run.parents[1])
    code, _, err = call("encode", "a.wav", "-o", "b.safetensors")
    assert code == 0
    assert "using runs/starter/" in err
    # Each latent file goes back to what made it.
    code, _, err = call("decode", "b.safetensors")
    assert (code, "using runs/starter/" in err) == (0, True)
    code, _, err = call("decode", "a.safetensors")
    assert (code, "latents of starter_22k" in err) == (0, True)
    assert probe("a.decoded.wav").samples == 5000


def test_weights_with_a_config(call, tiny):
    from safetensors.torch import save_file

    Path("tiny.json").write_text(json.dumps(tiny))
    save_file(zoo.from_config(tiny).state_dict(), "weights.safetensors")
    sound("a.wav")
    arguments = ("encode", "a.wav", "-m", "weights.safetensors", "-o", "out.safetensors")
    code, _, err = call(*arguments)
    assert (code, "holds no config" in err) == (2, True)
    assert call(*arguments, "--config", "tiny.json")[0] == 0


MISTAKES = [
    (("train", "recipe=ooblek_vae"), "did you mean 'oobleck_vae'"),
    (("train", "recipe=starter", "data.foldr=x"), "data.foldr: unknown key; did you mean 'folder'"),
    (("train", "recipe=starter", "data.folder=nowhere"), "nowhere"),
    (
        ("train", "recipe=starter", "model.downsampling_ratio=128"),
        "model.encoder.config.strides: 2 (x 32 of the pretransform's levels",
    ),
    (("train", "resume=nowhere"), "nowhere: no such run folder"),
    (("train", "resume=a", "recipe=starter"), "resume= goes without"),
    (("train",), "what to train?"),
    (("train", "startr"), "did you mean 'recipe=starter'"),
    (("train", "recip=oobleck"), "did you mean 'recipe'"),
    (("train", "recipe=starter", "data.folder="), "'data.folder=' has no value"),
    (("train", "recipe=starter", "steps"), "'steps' is no override"),
    (("validate", "nothing"), "unknown model 'nothing'"),
    (("show", "ooblek"), "did you mean 'oobleck_44k'"),
    (("encode", "missing.wav"), "missing.wav"),
    (("encode", "text.wav"), "text.wav"),
    (("encode", "empty.wav"), "empty.wav"),
    (("encode", "a.wav", "--model", "oobleck_vae_44k"), "config without weights"),
    (("encode", "a.wav", "--model", "nowhere.ckpt"), "nowhere.ckpt"),
    (("encode", "a.wav", "--model", "text.ckpt"), "text.ckpt: not a readable checkpoint"),
    (("decode", "a.wav"), "a.wav: not a latent file"),
    (("encode", "a.wav", "-o", "a.wav"), "latents are written as .safetensors"),
    (("encode", "a.wav", "-o", "."), "is a folder"),
    (("reconstruct", "a.wav", "-o", "a.wav"), "never overwritten"),
    (("reconstruct", "a.wav", "-o", "a.mp3"), ".wav or .flac"),
    (("encode", "a.wav", "--model", "recipe.yaml"), "weights come as"),
    (("list", "modls"), "modls"),
    (("trian",), "trian"),
]


@pytest.mark.parametrize(("arguments", "message"), MISTAKES, ids=lambda value: str(value)[:40])
def test_a_mistake_is_one_message_and_exit_code_2(call, arguments, message):
    sound("a.wav")
    sound("empty.wav", samples=0)
    Path("text.wav").write_text("hello")
    Path("text.ckpt").write_text("hello")
    Path("recipe.yaml").write_text("seed: 1")
    code, out, err = call(*arguments)
    assert code == 2
    assert message in err
    assert "Traceback" not in err + out
    assert not Path("runs").exists()


def test_a_truncated_checkpoint_is_one_message(call, run, tmp_path):
    sound("a.wav")
    cut = tmp_path / "cut.ckpt"
    cut.write_bytes((run / "checkpoints" / "last.ckpt").read_bytes()[:5000])
    code, _, err = call("encode", "a.wav", "--model", cut)
    assert code == 2
    assert err.strip().splitlines()[-1].startswith(f"zoo: error: {cut}: not a readable checkpoint")


def test_weights_beside_the_audio_are_not_overwritten(call, run, tiny):
    from safetensors.torch import save_file

    sound("a.wav")
    save_file(zoo.from_config(tiny).state_dict(), "a.safetensors")
    before = Path("a.safetensors").read_bytes()
    code, _, err = call("encode", "a.wav", "--model", run)
    assert (code, "holds no latents" in err) == (2, True)
    assert Path("a.safetensors").read_bytes() == before


def test_an_unknown_device_is_named(call, run):
    sound("a.wav")
    code, _, err = call("encode", "a.wav", "--model", run, "--device", "warp")
    assert (code, "--device warp" in err) == (2, True)
    assert "using" not in err


def test_list_shows_everything(call):
    code, out, _ = call("list")
    assert code == 0
    for name in (*zoo.list_models(), *zoo.list_recipes()):
        assert name in out
    code, out, _ = call("list", "recipes")
    assert "oobleck_vae " in out
    assert "oobleck_vae_44k" not in out


def test_validate_says_ok_or_lists_all_problems(call, tiny):
    Path("good.json").write_text(json.dumps(tiny))
    tiny["model"]["latent_dm"] = tiny["model"].pop("latent_dim")
    Path("bad.json").write_text(json.dumps(tiny))
    recipe = zoo.list_recipes()[0]
    code, out, _ = call("validate", "good.json", "oobleck_vae_44k", recipe)
    assert (code, out.count(": ok")) == (0, 3)
    code, out, err = call("validate", "good.json", "bad.json")
    assert (code, out) == (2, "good.json: ok\n")
    assert "bad.json: 2 problems" in err
    assert "model.latent_dm: unknown key; did you mean 'latent_dim'?" in err


def test_validate_knows_recipes_by_their_content(call):
    Path("mine.yaml").write_text("model: minimal_22k\ndata: {segment_samples: 1000}\n")
    code, _, err = call("validate", "mine.yaml")
    assert (code, "data.segment_samples" in err) == (2, True)


def test_show_counts_what_is_there(call):
    code, out, _ = call("show", "oobleck_vae_44k")
    assert code == 0
    for fact in ("156,112,514", "77,989,888", "2048 samples per latent frame", "21.53 Hz"):
        assert fact in out


def test_show_knows_every_kind_of_network(call):
    # An LSTM is unrolled frame by frame where nothing is computed: few frames a second.
    config = random_seanet(random.Random(5), ratios=(16,), finite=True)
    Path("short.json").write_text(json.dumps(config))
    for part in ("encoder", "decoder"):
        config["model"][part]["config"]["lstm"] = 1
    Path("long.json").write_text(json.dumps(config))
    for name, facts in {
        "dac_vae_44k": ("90,491,200", "44,101,730", "2048 > 64", "DecoderBlock", "x8", "/4"),
        "short.json": ("PaddedConv1d", "CutConvTranspose1d", "for each frame"),
        "long.json": ("ResidualLSTM", "no finite span: an LSTM"),
    }.items():
        code, out, _ = call("show", name)
        assert code == 0
        for fact in facts:
            assert fact in out


@pytest.mark.parametrize(
    ("window", "sees"), [(None, "no finite span: attention"), ([3, 4], "frames (")]
)
def test_show_says_what_a_transformer_hears(call, window, sees):
    model = random_taae(random.Random(4))
    for side in ("encoder", "decoder"):
        options = model["model"][side]["config"]
        options |= {"sliding_window": window, "transformer_depths": [1] * len(options["strides"])}
    Path("small.json").write_text(json.dumps(model))
    code, out, _ = call("show", "small.json")
    assert code == 0
    assert out.count("encoder sees") == out.count("decoder sees") == 1
    assert sees in out


def test_version(call):
    assert call("--version") == (0, f"{zoo.__version__}\n", "")


def test_fix_writes_a_config_that_builds(call):
    Path("standard.json").write_text(json.dumps(STANDARD))
    code, out, _ = call("validate", "--fix", "standard.json", "-o", "fixed.json")
    assert code == 0
    assert "model.downsampling_ratio: 2048 -> 512" in out
    assert "twice model.latent_dim" in out
    assert call("validate", "fixed.json")[0] == 0
    assert json.loads(Path("standard.json").read_text()) == STANDARD


def test_what_can_not_be_fixed_is_listed_and_nothing_is_written(call, tiny):
    tiny["model"]["decoder"]["config"]["latent_dim"] = 7
    Path("bad.json").write_text(json.dumps(tiny))
    code, _, err = call("validate", "--fix", "bad.json")
    assert (code, "model.decoder.config.latent_dim" in err) == (2, True)
    assert [path.name for path in Path().glob("*.json")] == ["bad.json"]


def test_validate_takes_folders_and_prints_json(call, tiny):
    Path("deep").mkdir()
    Path("deep/good.json").write_text(json.dumps(tiny))
    del tiny["sample_rate"]
    Path("deep/bad.json").write_text(json.dumps(tiny))
    code, out, _ = call("validate", "deep", "--json")
    assert code == 2
    results = {result["file"]: result for result in json.loads(out)}
    assert results["deep/good.json"]["ok"]
    assert results["deep/bad.json"]["problems"] == [
        {"path": "sample_rate", "message": "required, but missing"}
    ]


def test_diff_shows_what_differs(call):
    code, out, _ = call("diff", "oobleck_44k", "oobleck_vae_44k")
    assert code == 0
    assert "model.downsampling_ratio" in out
    assert "model.io_channels" not in out
    assert call("diff", "oobleck_44k", "oobleck_44k")[1] == "no difference\n"


@pytest.mark.parametrize("document", ["model", "recipe"])
def test_schema_accepts_what_is_shipped(call, document):
    import jsonschema
    import yaml

    code, out, _ = call("schema", document)
    assert code == 0
    schema = json.loads(out)
    committed = Path(__file__).parents[2] / "docs" / "schema" / f"{document}.schema.json"
    assert schema == json.loads(committed.read_text()), "run `make schema`"
    kind = "configs" if document == "model" else "recipes"
    files = [library.find(kind, name) for name in library.names(kind)]
    assert len(files) >= 3
    judge = jsonschema.validators.validator_for(schema)
    judge.check_schema(schema)
    for file in files:
        content = yaml.safe_load(file.read_text())
        judge(schema).validate(content)
        if document == "model":
            assert (file.parent / content["$schema"]).resolve() == committed
