"""The model card: what a folder of weights is, for people."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from zoo.checkpoints.folder import MARK
from zoo.checkpoints.training_facts import TrainingFacts
from zoo.config.model import DiffusionAutoencoderConfig, ModelContainer

_LICENCE = re.compile(r"[a-z0-9][a-z0-9.+-]*")


@dataclass(frozen=True)
class Card:
    """What the card of a model says.

    Args:
        title: its name.
        parameters: number of weights.
        layout: what the weights were read from, in words.
        usage: a heading and code for each way to load it.
        files: name and meaning of each file.
        version: of zoo.
        half: the weights are in half precision.
        licence: of the weights; None where nothing is known.
        note: what to know of them.
    """

    title: str
    container: ModelContainer
    parameters: int
    layout: str
    facts: TrainingFacts
    usage: Mapping[str, str]
    files: Mapping[str, str]
    version: str
    half: bool = False
    licence: str | None = None
    note: str | None = None
    tags: tuple[str, ...] = field(default=("audio", "autoencoder"))

    def text(self) -> str:
        """The card in Markdown, with the head that the Hugging Face hub reads."""
        return "\n".join([
            *self._head(), "", MARK, "", f"# {self.title}", "",
            f"{_words(self.container)}, exported by zoo {self.version}.", "",
            *([f"{self.note[0].upper()}{self.note[1:]}.", ""] if self.note else []),
            *_table("file", self.files), "",
            "## Network", "", *_table("", self._network()), "",
            "## Training", "", *self._training(), "",
            "## Licence", "", self.licence or "Not stated. Ask who gave you the weights.", "",
            "## Use", *self._uses(),
        ])  # fmt: skip

    def _head(self) -> list[str]:
        head = ["---", "library_name: zoo", "pipeline_tag: audio-to-audio"]
        if self.licence and _LICENCE.fullmatch(self.licence.lower()):
            head.append(f"license: {self.licence.lower()}")
        elif self.licence:
            quoted = self.licence.replace("\\", "").replace('"', "'").replace("\n", " ")
            head += ["license: other", f'license_name: "{quoted}"']
        return [*head, "tags:", *(f"- {tag}" for tag in self.tags), "---"]

    def _network(self) -> dict[str, str]:
        container, model = self.container, self.container.model
        rate, ratio = container.sample_rate, model.downsampling_ratio
        precision = "half (float16)" if self.half else "single (float32)"
        table = {
            "model type": container.model_type,
            "sample rate": f"{rate} Hz",
            "audio channels": _channels(model.input_side[1], model.output_side[1]),
            "latent channels": str(model.latent_dim),
            "downsampling ratio": str(ratio),
            "latent frames per second": f"{rate / ratio:.2f}",
            "encoder": model.encoder.type if model.encoder else "none",
            "bottleneck": model.bottleneck.type if model.bottleneck else "none",
            "decoder": model.decoder.type if model.decoder else "none",
        }
        if isinstance(model, DiffusionAutoencoderConfig):
            table["diffusion"] = model.diffusion.type
        if model.pretransform:
            table["pretransform"] = model.pretransform.type
        table["weights"] = f"{self.parameters:,}, {precision}"
        table["read from"] = self.layout or "a model in memory"
        return table

    def _training(self) -> list[str]:
        facts = self.facts
        table = {
            "recipe": facts.recipe,
            "updates": facts.steps and f"{facts.steps:,}",
            "data": facts.data,
            "batch size per process": facts.batch_size and str(facts.batch_size),
            "precision": facts.precision,
            "seed": None if facts.seed is None else str(facts.seed),
            **{f"`{name}`": f"{value:.5g}" for name, value in sorted(facts.metrics.items())},
        }
        known = {name: value for name, value in table.items() if value}
        if not known:
            return ["The weights came without facts about their training."]
        after = ["", "Metrics are those of the last validation before the file was written."]
        return [*_table("", known), *(after if facts.metrics else [])]

    def _uses(self) -> list[str]:
        lines: list[str] = []
        for heading, code in self.usage.items():
            lines += ["", f"{heading}:", "", "```python", code.strip(), "```"]
        return [*lines, ""]


def _words(container: ModelContainer) -> str:
    model = container.model
    kind = container.model_type.replace("_", " ")
    if model.bottleneck and "vae" in model.bottleneck.type:
        kind = f"variational {kind}"
    channels = _channels(model.input_side[1], model.output_side[1])
    return f"A {kind} for audio of {channels} channels at {container.sample_rate} Hz"


def _channels(into: int, out: int) -> str:
    return str(into) if into == out else f"{into} in, {out} out"


def _table(heading: str, rows: Mapping[str, str]) -> list[str]:
    cells = [f"| {name} | {value.replace('|', '/')} |" for name, value in rows.items()]
    return [f"| {heading} | |", "|---|---|", *cells]
