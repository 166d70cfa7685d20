"""What the SEANet encoder and decoder have in common."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from pydantic import Field

from zoo.config.base import Bool, Config, Float, NonNegativeInt, PositiveInt
from zoo.errors import Problem, did_you_mean

Activation = Literal[
    "ELU",
    "GELU",
    "Identity",
    "LeakyReLU",
    "Mish",
    "PReLU",
    "ReLU",
    "SELU",
    "Sigmoid",
    "SiLU",
    "Softplus",
    "Tanh",
]
Norm = Literal[
    "none", "weight_norm", "spectral_norm", "time_layer_norm", "layer_norm", "time_group_norm"
]
PadMode = Literal["reflect", "constant", "replicate", "circular"]

ACTIVATION_PARAMETERS: Mapping[str, tuple[str, ...]] = {
    "ELU": ("alpha",),
    "LeakyReLU": ("negative_slope",),
    "PReLU": ("init",),
    "Softplus": ("beta", "threshold"),
}
_NORM_PARAMETERS: Mapping[str, tuple[str, ...]] = {
    "layer_norm": ("eps", "elementwise_affine"),
    "time_group_norm": ("eps", "affine"),
}


def _defaults_of_activation(values: dict[str, Any]) -> dict[str, float]:
    return {"alpha": 1.0} if values.get("activation") == "ELU" else {}


class SeanetParameters(Config):
    """Strided convolutions between residual blocks, with an LSTM beside the latents."""

    channels: PositiveInt = Field(default=1, description="Audio channels")
    dimension: PositiveInt = Field(default=128, description="Channels at the latent side")
    n_filters: PositiveInt = Field(
        default=32, description="Width at the audio side; it doubles with each block"
    )
    n_residual_layers: NonNegativeInt = Field(
        default=1, description="Residual blocks at each width"
    )
    # Its order differs: each part describes it.
    ratios: tuple[PositiveInt, ...]
    activation: Activation = Field(default="ELU", description="Class of torch.nn")
    activation_params: dict[str, Float] = Field(
        default_factory=_defaults_of_activation,
        description="Its parameters; by default those of torch.nn",
    )
    norm: Norm = Field(
        default="weight_norm",
        description="Of weights (weight_norm, spectral_norm) or of what convolutions give "
        "(layer_norm over channels, time_group_norm over channels and all of the time); "
        "time_layer_norm is none",
    )
    norm_params: dict[str, Float | Bool] = Field(
        default_factory=dict[str, float | bool],
        description="Parameters of layer_norm (eps, elementwise_affine) and time_group_norm "
        "(eps, affine)",
    )
    kernel_size: PositiveInt = Field(default=7, description="Kernel of the first convolution")
    last_kernel_size: PositiveInt = Field(default=7, description="Kernel of the last convolution")
    residual_kernel_size: PositiveInt = Field(
        default=3, description="Kernel of the residual blocks' first convolution"
    )
    dilation_base: PositiveInt = Field(
        default=2, description="Dilation of a residual block over that of the one before"
    )
    causal: Bool = Field(default=False, description="No convolution sees what comes later")
    pad_mode: PadMode = Field(
        default="reflect", description="What lies beyond the ends of the signal"
    )
    true_skip: Bool = Field(
        default=False, description="Residual blocks add their input itself, not a projection of it"
    )
    compress: PositiveInt = Field(
        default=2, description="Width of a residual block over the width within it"
    )
    lstm: NonNegativeInt = Field(
        default=2, description="Layers of the LSTM; in chunks, it carries its state"
    )

    def contradictions(self) -> Iterator[Problem]:
        """What these parameters say against each other; paths relative to them."""
        yield from unknown_parameters(
            "activation_params", self.activation, self.activation_params, ACTIVATION_PARAMETERS
        )
        yield from unknown_parameters("norm_params", self.norm, self.norm_params, _NORM_PARAMETERS)
        for key, value in self.norm_params.items():
            if (key == "eps") == isinstance(value, bool):
                wanted = "a number" if key == "eps" else "true or false"
                yield Problem(f"norm_params.{key}", f"must be {wanted}, not {value!r}")
        if self.causal and self.norm == "time_group_norm":
            yield Problem("norm", "time_group_norm sees what comes later, but causal is true")
        if self.n_residual_layers and self.compress > self.n_filters:
            yield Problem(
                "compress",
                f"{self.compress}, but must be at most n_filters {self.n_filters}: residual "
                "blocks would have no channels",
            )


def unknown_parameters(
    key: str, name: str, given: Mapping[str, object], known: Mapping[str, tuple[str, ...]]
) -> Iterator[Problem]:
    """A problem for each parameter that `name` doesn't have."""
    allowed = known.get(name, ())
    for word in given:
        if word not in allowed:
            has = f"has {', '.join(allowed)}" if allowed else "has no parameters"
            yield Problem(
                f"{key}.{word}", f"unknown key; {name} {has}{did_you_mean(word, allowed)}"
            )
