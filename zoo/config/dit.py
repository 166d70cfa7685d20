"""The diffusion transformer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar, Literal, Self, cast

from pydantic import AliasChoices, Field, model_validator

from zoo.config.base import Bool, Config, Int, NonNegativeInt, PositiveInt
from zoo.config.diffusion_network import DiffusionNetworkConfig, Objective
from zoo.config.transformer import AttentionParameters, FeedForwardParameters, NormParameters
from zoo.errors import Problem

_NARROWEST_ROTATED_HEAD = 32

Reach = Annotated[int, Field(strict=True, ge=-1)]


class DiTParameters(Config):
    """One transformer over patches of noisy audio and its condition."""

    diffusion_objective: Objective | None = Field(
        default=None,
        description="What the network predicts, and how noise is added; left out, v",
    )
    io_channels: PositiveInt | None = Field(
        default=None, description="Channels of the audio; left out, the model's"
    )
    patch_size: PositiveInt = Field(
        default=1,
        description="Neighbouring samples that make a frame of the transformer",
    )
    embed_dim: PositiveInt = Field(default=768, description="Channels of the transformer")
    cond_token_dim: NonNegativeInt = Field(
        default=0, description="Channels of the tokens for cross-attention; 0 for none"
    )
    project_cond_tokens: Bool = Field(
        default=True, description="These tokens are projected to embed_dim channels"
    )
    global_cond_dim: NonNegativeInt = Field(
        default=0, description="Channels of the global condition; 0 for none"
    )
    project_global_cond: Bool = Field(
        default=True, description="The global condition is projected to embed_dim channels"
    )
    input_concat_dim: NonNegativeInt | None = Field(
        default=None,
        description="Channels of the condition beside the audio, the upsampled latents; left out, "
        "the model's",
    )
    prepend_cond_dim: NonNegativeInt = Field(
        default=0, description="Channels of the tokens put before the audio; 0 for none"
    )
    depth: NonNegativeInt = Field(
        default=12,
        validation_alias=AliasChoices("depth", "transformer_depth"),
        description="Transformer blocks; transformer_depth means the same",
    )
    num_heads: PositiveInt = Field(
        default=8,
        description="Attention heads: each is embed_dim / num_heads channels wide, with a rotary "
        "embedding at least 32",
    )
    transformer_type: Literal["continuous_transformer"] = Field(
        default="continuous_transformer", description="There is one"
    )
    global_cond_type: Literal["prepend", "adaLN"] = Field(
        default="prepend",
        description="Global condition and timestep are a token before the audio, or move "
        "adaptive layer norms (adaLN)",
    )
    timestep_cond_type: Literal["global", "input_concat"] = Field(
        default="global",
        description="The timestep joins the global condition, or the channels of the input",
    )
    timestep_embed_dim: PositiveInt | None = Field(
        default=None,
        description="Channels of the timestep at the input; required with input_concat, else "
        "without effect",
    )
    final_cross_attn_ix: Int = Field(
        default=-1, description="Index of the last block with cross-attention; -1 for all blocks"
    )
    causal: Bool = Field(default=False, description="No frame sees those after it")
    rotary_pos_emb: Bool = Field(
        default=True, description="One rotary position embedding for all blocks"
    )
    zero_init_branch_outputs: Bool = Field(
        default=True, description="Attention and feed-forward networks start at zero"
    )
    conformer: Bool = Field(default=False, description="A depthwise convolution in each block")
    use_sinusoidal_emb: Bool = Field(
        default=False, description="Sines of the positions are added to the frames"
    )
    use_abs_pos_emb: Bool = Field(
        default=False, description="Trained positions are added to the frames, instead of sines"
    )
    abs_pos_emb_max_length: PositiveInt = Field(
        default=10000, description="Trained positions: frames at most, tokens before them included"
    )
    num_memory_tokens: NonNegativeInt = Field(
        default=0, description="Trained frames put before all others"
    )
    sliding_window: tuple[Reach, Reach] | None = Field(
        default=None,
        description="Frames that a frame sees before and after itself, -1 for all on that side, "
        "null for all; tokens before the audio see all and are seen by all",
    )
    remove_norms: Bool = Field(
        default=False, description="A tanh with trained slope instead of layer norms"
    )
    add_rope: Bool = Field(
        default=False,
        description="A rotary embedding in each block, in effect without rotary_pos_emb",
    )
    layer_scale: Bool = Field(
        default=False, description="A small gain for each branch, instead of a start at zero"
    )
    attn_kwargs: AttentionParameters = Field(
        default_factory=AttentionParameters, description="Parameters of attention"
    )
    ff_kwargs: FeedForwardParameters = Field(
        default_factory=FeedForwardParameters, description="Parameters of feed-forward networks"
    )
    norm_kwargs: NormParameters = Field(
        default_factory=NormParameters, description="Parameters of layer norms"
    )

    @model_validator(mode="before")
    @classmethod
    def _one_depth(cls, values: Any) -> Any:
        if isinstance(values, Mapping) and {"depth", "transformer_depth"} <= values.keys():
            given = cast(Mapping[str, Any], values)
            raise ValueError(
                f"both depth ({given['depth']}) and transformer_depth "
                f"({given['transformer_depth']}) are given, two names of one thing: keep depth"
            )
        return cast(Any, values)

    def contradictions(self, channels: int, condition: int) -> Iterator[Problem]:
        """What they say against each other and the model; paths relative to them."""
        if self.io_channels != channels:
            yield Problem(
                "io_channels", f"{self.io_channels}, but the audio it denoises has {channels}"
            )
        if self.input_concat_dim != condition:
            yield Problem(
                "input_concat_dim",
                f"{self.input_concat_dim}, but the condition beside the audio has {condition}",
            )
        if self.timestep_cond_type == "input_concat" and self.timestep_embed_dim is None:
            yield Problem(
                "timestep_embed_dim",
                "not given, but timestep_cond_type 'input_concat' adds so many channels to the "
                "input: give it",
            )
        if self.use_sinusoidal_emb and self.embed_dim % 2:
            yield Problem(
                "embed_dim",
                f"{self.embed_dim}, but use_sinusoidal_emb fills half with sines and half with "
                "cosines: give an even number",
            )
        if self.depth:
            yield from self._block_contradictions()

    def _block_contradictions(self) -> Iterator[Problem]:
        width, head = self.embed_dim, self.embed_dim // self.num_heads
        given = f"{self.num_heads} heads for {width} channels (config.embed_dim) make each {head}"
        if head == 0 or width % head:
            yield Problem("num_heads", f"{given} wide, which must divide {width}")
        if self.rotary_pos_emb and head < _NARROWEST_ROTATED_HEAD:
            yield Problem(
                "num_heads",
                f"{given} wide, but the rotary embedding needs at least {_NARROWEST_ROTATED_HEAD}: "
                "fewer heads, more channels, or rotary_pos_emb false",
            )
        last = self.depth - 1 if self.final_cross_attn_ix == -1 else self.final_cross_attn_ix
        for problem in self.attn_kwargs.contradictions(
            width, cross_attends=self.cond_token_dim > 0 and last >= 0
        ):
            yield Problem(f"attn_kwargs.{problem.path}", problem.message)
        for problem in self.ff_kwargs.contradictions(width):
            yield Problem(f"ff_kwargs.{problem.path}", problem.message)


class DiTConfig(DiffusionNetworkConfig):
    """A diffusion transformer over audio, or over what a pretransform makes of it."""

    condition_key: ClassVar[str] = "input_concat_dim"

    type: Literal["dit"]
    config: DiTParameters = Field(
        default_factory=DiTParameters, description="Constructor parameters"
    )

    @property
    def ratio(self) -> int:
        # upstream: leaves the patches out of its lengths, so that others fail.
        return self.config.patch_size

    @property
    def objective(self) -> Objective:
        return self.config.diffusion_objective or "v"

    def completed(self, channels: int, condition: int) -> Self:
        derived = {
            "diffusion_objective": "v",
            "io_channels": channels,
            "input_concat_dim": condition,
        }
        absent = {key: value for key, value in derived.items() if self._lacks(key)}
        return self.model_copy(update={"config": self.config.model_copy(update=absent)})

    def _lacks(self, key: str) -> bool:
        return getattr(self.config, key) is None

    def contradictions(self, channels: int, condition: int) -> Iterator[Problem]:
        for problem in self.config.contradictions(channels, condition):
            yield Problem(f"config.{problem.path}", problem.message)

    def options(self) -> dict[str, Any]:
        """Arguments of the network's constructor, once `completed`."""
        return self.config.model_dump()
