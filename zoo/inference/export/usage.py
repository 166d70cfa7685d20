"""How what is exported is used, in code for the card."""

from __future__ import annotations

from zoo.config.model import DiffusionAutoencoderConfig, ModelContainer

_ZOO = """
import zoo

codec = zoo.Codec(zoo.from_pretrained("."))  # this folder, or owner/name on the hub
latents = codec.encode("audio.wav")
audio = codec.decode(latents)
"""
_UPSTREAM = """
import json
from stable_audio_tools.models.factory import create_model_from_config
from stable_audio_tools.models.utils import load_ckpt_state_dict

model = create_model_from_config(json.load(open("model_config.json")))
model.load_state_dict(load_ckpt_state_dict("model.safetensors"))
# or, from the hub: stable_audio_tools.get_pretrained_model("owner/name")
"""
_DIFFUSERS = """
from diffusers import AutoencoderOobleck

vae = AutoencoderOobleck.from_pretrained(".")  # this folder, or owner/name on the hub
latents = vae.encode(audio).latent_dist.mode()
audio = vae.decode(latents).sample
"""
_ONNX = """
import numpy as np
import onnxruntime

encoder = onnxruntime.InferenceSession("encoder.onnx")
decoder = onnxruntime.InferenceSession("decoder.onnx")
audio = np.zeros((1, {channels}, {rate}), dtype=np.float32)  # any batch and length, at {rate} Hz
(latents,) = encoder.run(None, {{"audio": audio}})
(audio,) = decoder.run(None, {{"latents": latents}})
"""
_PROGRAM = """
import torch

encoder = torch.export.load("encoder.pt2").module()
decoder = torch.export.load("decoder.pt2").module()
audio = torch.zeros(2, {channels}, {rate})  # any batch and length, at {rate} Hz
latents = encoder(audio)
audio = decoder(latents)
"""


def of_format(format: str, container: ModelContainer) -> dict[str, str]:  # noqa: A002
    """A heading and code for each way to load such a folder."""
    sizes = {"channels": container.model.input_side[1], "rate": container.sample_rate}
    with_zoo = {"With zoo": _ZOO}
    match format:
        case "stable-audio-tools":
            return {**with_zoo, "With stable-audio-tools": _UPSTREAM}
        case "diffusers":
            return {"With diffusers": _DIFFUSERS, **with_zoo}
        case "onnx":
            return {"With onnxruntime": _ONNX.format(**sizes)}
        case "torch-export":
            return {"With torch alone": _PROGRAM.format(**sizes)}
        case _:
            return with_zoo


def tags(format: str, container: ModelContainer) -> tuple[str, ...]:  # noqa: A002
    """What the model is found by on the hub."""
    found = ["audio", "autoencoder", format] if format != "zoo" else ["audio", "autoencoder"]
    model = container.model
    if model.bottleneck:
        found.append(model.bottleneck.type.replace("_", "-"))
    if isinstance(model, DiffusionAutoencoderConfig):
        found.append("diffusion")
    return tuple(found)
