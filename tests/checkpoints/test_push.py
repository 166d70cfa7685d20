"""Models to the hub, against a stand-in for it."""

from __future__ import annotations

import pytest
import torch

import zoo
from tests.checkpoints.test_hub import hub, offline  # noqa: F401 – a fixture
from tests.checkpoints.test_layouts import random_model, same
from zoo.checkpoints.push import push_folder
from zoo.errors import CheckpointError


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An exported model, and a token that may write."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)
    monkeypatch.setenv("HF_TOKEN", "right")
    zoo.export(random_model(), "stable-audio-tools", tmp_path / "model")
    (tmp_path / "model" / ".hidden").write_text("notes")
    return tmp_path / "model"


def test_what_is_pushed_comes_back(hub, folder):  # noqa: F811
    address = push_folder(folder, "me/vae", private=True)
    assert address == f"{hub.url}/me/vae/commit/{'b' * 40}"
    assert hub.uploads.repositories == {"me/vae": True}
    names = {name for name in hub.files if name.startswith("me/vae/")}
    wanted = ("README.md", "model.safetensors", "model_config.json")
    assert names == {f"me/vae/{name}" for name in wanted}
    for name in wanted:
        assert hub.files[f"me/vae/{name}"] == (folder / name).read_bytes()
    assert hub.uploads.commits == [f"zoo push: {', '.join(wanted)}"]
    assert same(zoo.from_pretrained("me/vae"), random_model())
    # Large files go to the store without the login.
    assert {token for method, _, _, token in hub.asked if method == "PUT"} == {None}
    # Again: what is there already is not sent again.
    sent = sum(method == "PUT" for method, *_ in hub.asked)
    push_folder(folder, "me/vae", revision="next", message="second")
    assert sum(method == "PUT" for method, *_ in hub.asked) == sent
    assert ("me/vae", "next") in hub.uploads.branches
    assert "me/vae@next/model.safetensors" in hub.files
    assert hub.uploads.commits[-1] == "second"


def test_what_goes_wrong_is_one_message(hub, folder, tmp_path, monkeypatch):  # noqa: F811
    (tmp_path / "empty").mkdir()
    (tmp_path / "bare").mkdir()
    torch.save({}, tmp_path / "bare" / "a.ckpt")
    for name, message in (
        ("nowhere", "no such folder"),
        ("empty", "holds no model"),
        ("bare", r"has no README\.md"),
    ):
        with pytest.raises(CheckpointError, match=f"{name}: {message}.*`?zoo export"):
            push_folder(tmp_path / name, "me/vae")
    with pytest.raises(CheckpointError, match="a/b/c"):
        push_folder(folder, "a/b/c")
    hub.uploads.read_only.add("read")
    monkeypatch.setenv("HF_TOKEN", "read")
    with pytest.raises(CheckpointError, match=r"me/vae: the hub does not let you write there; log"):
        push_folder(folder, "me/vae")
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(
        CheckpointError, match=r"me/vae: the hub asks who you are; log in.*HF_TOKEN"
    ):
        push_folder(folder, "me/vae")
    monkeypatch.setenv("HF_TOKEN", "right")
    hub.break_after = 100
    with pytest.raises(
        CheckpointError, match=r"me/vae: can't be uploaded: .*run it again to go on"
    ):
        push_folder(folder, "me/vae")
    # Nothing of it is in the repository.
    assert not [name for name in hub.files if name.startswith("me/")]
    hub.break_after = None
    push_folder(folder, "me/vae")
    assert same(zoo.from_pretrained("me/vae"), random_model())
    offline(monkeypatch)
    with pytest.raises(CheckpointError, match="HF_HUB_OFFLINE is set"):
        push_folder(folder, "me/vae")
