"""`zoo export` and `zoo push` from the shell."""

from __future__ import annotations

import json
from pathlib import Path

from safetensors.torch import save_file

from tests.checkpoints.test_hub import hub, offline  # noqa: F401 – a fixture
from tests.checkpoints.test_layouts import random_model
from tests.cli.test_weights import wrapped
from tests.conftest import TINY


def test_export_pull_and_push(call, hub, monkeypatch):  # noqa: F811
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)
    monkeypatch.setenv("HF_TOKEN", "right")
    folder = wrapped("theirs")
    code, out, err = call("export", folder, "--format", "zoo", "--weights", "online", "--half")
    assert (code, out) == (0, "export/zoo: model.safetensors, model_config.json, README.md\n")
    assert "online weights" in err
    code, out, err = call("pull", "export/zoo")
    assert (code, err) == (0, "")
    assert "keys matched" in out
    code, out, _ = call("push", "export/zoo", "me/vae", "--revision", "v1", "--private")
    assert (code, out) == (0, f"{hub.url}/me/vae/commit/{'b' * 40}\n")
    assert "me/vae@v1/README.md" in hub.files


def test_what_goes_wrong_is_one_message(call):
    folder = wrapped("theirs")
    code, out, err = call("export", folder, "-f", "diffusers", "-o", "vae")
    assert (code, out) == (2, "")
    assert "model.encoder.config.channels: 4, but must be the encoder's latent_dim, 6" in err
    assert not Path("vae").exists()
    code, _, err = call("export", folder, "-f", "zoo", "-o", ".")
    assert (code, "--force" in err) == (2, True)
    code, _, err = call("push", "theirs", "me/vae")
    assert (code, "has no README.md" in err) == (2, True)
    save_file(random_model().state_dict(), "bare.safetensors")
    Path("tiny.json").write_text(json.dumps(TINY))
    code, _, err = call("export", "bare.safetensors", "-f", "zoo", "-o", "one")
    assert (code, "holds no config" in err) == (2, True)
    code, _, _ = call(
        "export", "bare.safetensors", "-f", "zoo", "-o", "one", "--config", "tiny.json"
    )
    assert code == 0
