"""Distance in the features of a network that was trained on speech."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchaudio import models
from torchaudio.models import Wav2Vec2Model

from zoo.config.distances import SemanticLossConfig, SemanticModel
from zoo.data.resample import resample
from zoo.errors import CheckpointError
from zoo.nets.precision import widened
from zoo.training.frozen import Frozen

SAMPLE_RATE = 16_000
CONVOLUTIONS = -1

NETWORKS: dict[SemanticModel, Callable[[], Wav2Vec2Model]] = {
    "hubert_base": models.hubert_base,
    "hubert_large": models.hubert_large,
    "hubert_xlarge": models.hubert_xlarge,
    "wav2vec2_base": models.wav2vec2_base,
    "wav2vec2_large": models.wav2vec2_large,
    "wav2vec2_large_lv60k": models.wav2vec2_large_lv60k,
    "wavlm_base": models.wavlm_base,
    "wavlm_base_plus": models.wavlm_base,
    "wavlm_large": models.wavlm_large,
}
NORMALISING = {"hubert_large", "hubert_xlarge", "wav2vec2_large_lv60k", "wavlm_large"}


class SemanticLoss(nn.Module):
    """Mean |difference| of features over their deviation, averaged over layers.

    Every channel is heard on its own, at 16 kHz. The network is not part of the state dict.

    Args:
        network: HuBERT, WavLM or wav2vec 2.0.
        sample_rate: Hz of the signals.
        layers: Transformer layers that count, from 0; -1: the convolutions; `None`: all layers.
        normalise: Whether the network was trained on signals of zero mean and unit variance.

    Source: Hsu et al., arXiv 2106.07447; upstream `training/losses/semantic.py` `HubertLoss`.
    """

    def __init__(
        self,
        network: Wav2Vec2Model,
        sample_rate: int,
        layers: Sequence[int] | None = None,
        *,
        normalise: bool = False,
    ) -> None:
        super().__init__()
        self.frozen = Frozen(network)
        self.sample_rate = sample_rate
        count = len(network.encoder.transformer.layers)  # type: ignore[arg-type]
        self.layers = tuple(range(count)) if layers is None else tuple(layers)
        assert all(layer < count for layer in self.layers), (self.layers, count)
        self.normalise = normalise

    def forward(self, decoded: Tensor, reals: Tensor) -> Tensor:
        """Two signals (batch, channels, samples) → a scalar."""
        assert decoded.shape == reals.shape, (decoded.shape, reals.shape)
        pairs = zip(self.features(decoded), self.features(reals), strict=True)
        wide = [(widened(x), widened(y)) for x, y in pairs]
        distances = [F.l1_loss(x, y) / (y.std() + 1e-5) for x, y in wide]
        return torch.stack(distances).mean()

    def features(self, audio: Tensor) -> list[Tensor]:
        """(batch, channels, samples) → (batch × channels, frames, width) for each of `layers`."""
        # upstream: plays audio of any rate to a network that was trained at 16 kHz.
        signals = resample(audio.flatten(0, 1), self.sample_rate, SAMPLE_RATE)
        if self.normalise:
            # Over the whole batch, as torchaudio's pipelines do.
            signals = F.layer_norm(signals, signals.shape)
        convolved, _ = self.frozen.network.feature_extractor(signals, None)
        depth = max(self.layers) + 1
        hidden: list[Tensor] = []
        if depth > 0:
            hidden = self.frozen.network.encoder.extract_features(convolved, None, depth)
        return [convolved if layer == CONVOLUTIONS else hidden[layer] for layer in self.layers]


def load_semantic_loss(config: SemanticLossConfig, sample_rate: int) -> SemanticLoss:
    """The loss with the network of a local file. Nothing is downloaded.

    Raises:
        CheckpointError: where the file is missing, can't be read or doesn't fit.
    """
    assert config.weights is not None
    path = Path(config.weights).expanduser()
    if not path.is_file():
        raise CheckpointError(
            f"{path}: no such file; losses.semantic.weights has to be the path of {config.file}, "
            f"the weights of {config.model}: {config.source}"
        )
    network = NETWORKS[config.model]()
    try:
        weights = torch.load(path, map_location="cpu", weights_only=True)
        network.load_state_dict(cast(dict[str, Tensor], weights))
    except (RuntimeError, pickle.UnpicklingError, EOFError, OSError, TypeError) as error:
        reason = (str(error).splitlines() or ["it is empty"])[0]
        raise CheckpointError(
            f"{path}: not the weights of {config.model} ({reason}); to get them: {config.source}"
        ) from None
    count = len(network.encoder.transformer.layers)  # type: ignore[arg-type]
    if config.layers and max(config.layers) >= count:
        raise CheckpointError(
            f"losses.semantic.layers: {config.model} has the layers 0 to {count - 1}"
        )
    normalise = config.model in NORMALISING
    return SemanticLoss(network, sample_rate, config.layers, normalise=normalise)
