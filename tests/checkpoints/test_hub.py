"""Models from the hub, against a stand-in for it: cache, revisions, resuming, checksums."""

from __future__ import annotations

import copy
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save

import zoo
from tests.checkpoints.stand_in import COMMIT, Hub, serving
from tests.checkpoints.test_layouts import OTHERS, TEXT_TO_AUDIO, prefixed, random_model, same
from tests.conftest import TINY
from zoo.checkpoints import hub as our_hub
from zoo.checkpoints.download import download
from zoo.checkpoints.sources import read_source
from zoo.config import library
from zoo.errors import CheckpointError, ConfigError

ROOT = Path(__file__).parents[2]


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A hub with a model of upstream's layout, and an empty cache."""
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "127.0.0.1")
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    weights = save(random_model().state_dict())
    files = {
        "some/vae/model_config.json": json.dumps(TINY).encode(),
        "some/vae/model.safetensors": weights,
    }
    with serving(Hub(files)) as served:
        template = served.url + "/{repo_id}/resolve/{revision}/{filename}"
        for module in ("constants", "file_download"):
            monkeypatch.setattr(
                f"huggingface_hub.{module}.HUGGINGFACE_CO_URL_TEMPLATE", template, raising=False
            )
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", served.url)
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.setenv("HF_TOKEN_PATH", str(tmp_path / "no token"))
        yield served


def offline(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)


def test_a_model_of_the_hub_is_downloaded_once(hub, monkeypatch):
    model = zoo.from_pretrained("some/vae")
    assert same(model, random_model())
    assert COMMIT in model.loaded.source
    assert same(zoo.from_pretrained("some/vae", revision=COMMIT), model)
    assert same(zoo.from_pretrained(f"some/vae@{COMMIT}"), model)
    assert same(zoo.from_pretrained("some/vae/model.safetensors"), model)
    assert same(zoo.from_config(TINY, checkpoint="some/vae"), model)
    assert read_source("some/vae").config == TINY
    assert hub.ranges() == [None]
    offline(monkeypatch)
    before = len(hub.asked)
    assert same(zoo.from_pretrained("some/vae"), model)
    assert len(hub.asked) == before


def test_without_a_network_a_cached_model_is_opened(hub, monkeypatch):
    zoo.from_pretrained("some/vae")
    for name in ("constants", "file_download"):
        monkeypatch.setattr(
            f"huggingface_hub.{name}.HUGGINGFACE_CO_URL_TEMPLATE",
            "http://127.0.0.1:9/{repo_id}/resolve/{revision}/{filename}",
            raising=False,
        )
    assert same(zoo.from_pretrained("some/vae"), random_model())


@pytest.mark.filterwarnings("ignore")
def test_layouts_of_the_hub(hub):
    model = random_model()
    state = {**OTHERS, **prefixed("pretransform.model.", model)}
    hub.files |= {
        "big/t2a/model_config.json": json.dumps(TEXT_TO_AUDIO).encode(),
        "big/t2a/model.safetensors": save(state),
    }
    assert same(zoo.from_pretrained("big/t2a"), model)
    diffusers = pytest.importorskip("diffusers")
    theirs = diffusers.AutoencoderOobleck(4, [2, 4], [1, 2], 4, 2, 2, 16000)
    hub.files |= {
        "pipe/line/model_index.json": b"{}",
        "pipe/line/vae/config.json": json.dumps(dict(theirs.config)).encode(),
        "pipe/line/vae/diffusion_pytorch_model.safetensors": save(theirs.state_dict()),
    }
    for source in ("pipe/line", "pipe/line/vae"):
        assert zoo.from_pretrained(source).loaded.layout == "diffusers AutoencoderOobleck"


def test_what_the_hub_refuses_is_said_with_what_to_do(hub, monkeypatch):
    with pytest.raises(CheckpointError, match=r"nobody/none: .*no such repository on the hub"):
        zoo.from_pretrained("nobody/none")
    for source, revision in (("some/vae", "v9"), ("some/vae@v9", None)):
        with pytest.raises(CheckpointError, match=r"some/vae: has no revision 'v9'"):
            zoo.from_pretrained(source, revision=revision)
    with pytest.raises(CheckpointError, match=r"some/vae: has no file other\.ckpt"):
        zoo.from_pretrained("some/vae/other.ckpt")
    hub.files["odd/one/weights.onnx"] = b"x"
    with pytest.raises(CheckpointError, match=r"odd/one: no model that zoo knows.*name a file"):
        zoo.from_pretrained("odd/one")
    hub.gated.add("some/vae")
    with pytest.raises(CheckpointError, match=r"agree to it on http.*some/vae.*hf auth login"):
        zoo.from_pretrained("some/vae")
    monkeypatch.setenv("HF_TOKEN", "right")
    assert same(zoo.from_pretrained("some/vae"), random_model())
    offline(monkeypatch)
    with pytest.raises(CheckpointError, match=r"big/t2a: .*HF_HUB_OFFLINE is set.*`zoo pull"):
        zoo.from_pretrained("big/t2a")


def test_the_token_goes_to_the_hub_alone(hub, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "right")
    zoo.from_pretrained("some/vae")
    assert {token for _, path, _, token in hub.asked if "/lfs/" in path} == {None}
    assert {token for _, path, _, token in hub.asked if "/lfs/" not in path} == {"Bearer right"}


def test_a_broken_download_goes_on_where_it_stopped(hub, tmp_path):
    content = hub.files["some/vae/model.safetensors"]
    hub.break_after = len(content) // 7
    # Nothing of a try is lost: this many bytes are there when the tries of one call are over.
    with pytest.raises(CheckpointError, match=r"broke off after.*run it again to go on"):
        zoo.from_pretrained("some/vae")
    done = 5 * hub.break_after
    hub.break_after = None
    assert same(zoo.from_pretrained("some/vae"), random_model())
    assert hub.ranges()[0] is None
    assert hub.ranges()[-1] == f"bytes={done}-"
    assert not list((tmp_path / "cache").rglob("*.part"))


def test_a_flipped_byte_on_the_way_is_found(hub, tmp_path):
    hub.flip = True
    with pytest.raises(CheckpointError, match=r"damaged on its way: its sha256"):
        zoo.from_pretrained("some/vae")
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.stat().st_size > 10**4]
    hub.flip = False
    assert same(zoo.from_pretrained("some/vae"), random_model())


def test_a_flipped_byte_in_the_cache_is_found_and_mended(hub):
    path = our_hub.pull("some/vae")
    assert our_hub.verify(path) is True
    assert our_hub.verify(path.with_name("model_config.json")) is None
    blob = path.resolve()
    blob.chmod(0o644)
    blob.write_bytes(blob.read_bytes()[:-1] + b"\x00")
    with pytest.raises(CheckpointError, match="removed from the cache, pull again"):
        our_hub.verify(path)
    assert our_hub.verify(our_hub.pull("some/vae")) is True


PULL = "import sys; from zoo.checkpoints.hub import pull; print(pull('some/vae'))"


def test_two_processes_fill_the_same_cache(hub, tmp_path):
    hub.files["some/vae/model.safetensors"] += b""
    env = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "HF_ENDPOINT": hub.url,
        "HF_HUB_CACHE": str(tmp_path / "cache"),
        "HF_HUB_OFFLINE": "0",
    }
    both = [
        subprocess.Popen([sys.executable, "-c", PULL], env=env, stdout=-1, stderr=-1, text=True)
        for _ in range(2)
    ]
    told = [process.communicate(timeout=120) for process in both]
    assert [process.returncode for process in both] == [0, 0], told
    assert told[0][0] == told[1][0]
    content = Path(told[0][0].strip()).read_bytes()
    assert content == hub.files["some/vae/model.safetensors"]
    assert hub.ranges() == [None]


def test_a_file_of_an_address(hub, tmp_path):
    content = os.urandom(50000)
    hub.files["a/b/file.th"] = content
    url, target = f"{hub.store}/lfs/a/b/file.th", tmp_path / "deep" / "file.th"
    sha256 = hashlib.sha256(content).hexdigest()
    hub.break_after = 20000
    assert download(url, target, sha256[:8]).read_bytes() == content
    assert hub.ranges() == [None, "bytes=20000-", "bytes=40000-"]
    assert download(url, target) == target
    assert len(hub.ranges()) == 3
    target.unlink()
    hub.break_after = None
    with pytest.raises(CheckpointError, match=r"file\.th: damaged on its way"):
        download(url, target, "0" * 64)
    assert not target.exists()
    # What is whole already, or of another file, is told by the server.
    part = target.with_name(".file.th.part")
    part.write_bytes(content)
    assert download(url, target, sha256).read_bytes() == content
    target.unlink()
    part.write_bytes(content + b"more")
    assert download(url, target).read_bytes() == content


def test_a_config_with_published_weights(hub, tmp_path, monkeypatch):
    folder = tmp_path / "configs"
    folder.mkdir()
    monkeypatch.setattr(library, "folder", lambda kind: folder)
    monkeypatch.setattr("zoo.checkpoints.sources.folder", lambda kind: folder)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "own"))
    state = {**OTHERS, **prefixed("pretransform.model.", random_model())}
    hub.files["big/t2a/model.safetensors"] = save(state)
    whole = random_model().state_dict()
    torch.save(whole, tmp_path / "w.th")
    hub.files["x/y/w.th"] = (tmp_path / "w.th").read_bytes()
    (folder / "beside.safetensors").write_bytes(save(whole))
    digest = hashlib.sha256(hub.files["x/y/w.th"]).hexdigest()
    published = {
        "of_hub": {
            "repository": "big/t2a",
            "revision": COMMIT,
            "file": "model.safetensors",
            "part": "pretransform.model",
        },
        "of_address": {"url": f"{hub.store}/lfs/x/y/w.th", "file": "w.th", "sha256": digest[:8]},
        "of_package": {"file": "beside.safetensors"},
    }
    for name, section in published.items():
        config = {**copy.deepcopy(TINY), "published": section}
        (folder / f"{name}.json").write_text(json.dumps(config))
    (folder / "bare.json").write_text(json.dumps(TINY))
    assert zoo.list_models(pretrained=True) == sorted(published)
    for name in published:
        assert same(zoo.from_config(name, pretrained=True), random_model())
        assert same(zoo.from_pretrained(name), random_model())
    assert same(zoo.from_config(folder / "of_package.json", pretrained=True), random_model())
    assert not same(zoo.from_config("of_hub"), random_model())
    with pytest.raises(ConfigError, match=r"bare: names no published weights.*of_address"):
        zoo.from_config("bare", pretrained=True)
    with pytest.raises(ConfigError, match="give one of them"):
        zoo.from_config("of_hub", pretrained=True, checkpoint="w.th")
    with pytest.raises(CheckpointError, match=r"'bare' is a config without weights"):
        zoo.from_pretrained("bare")
    with pytest.raises(CheckpointError, match=r"no such file or folder; did you mean 'of_hub'"):
        zoo.from_pretrained("of_hubb")
    offline(monkeypatch)
    (tmp_path / "own" / "zoo" / "w.th").unlink()
    with pytest.raises(CheckpointError, match=r"HF_HUB_OFFLINE is set\); download http.*put it at"):
        zoo.from_pretrained("of_address")
