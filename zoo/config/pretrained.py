"""Where the published weights of a config are."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from zoo.config.base import Bool, Config

Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{8,64}$")]


class PublishedWeightsConfig(Config):
    """Weights that `zoo.from_config(name, pretrained=True)` loads.

    In a repository of the hub, at an address of its own, or, without both, beside the config.
    """

    repository: str | None = Field(
        default=None, description="Repository of the Hugging Face hub, owner/name"
    )
    revision: str | None = Field(
        default=None, description="Commit, tag or branch of the repository; main if absent"
    )
    url: str | None = Field(default=None, description="Address of a file that is not on the hub")
    file: str = Field(description="Weight file: its path in the repository, or its name")
    part: str | None = Field(
        default=None,
        description="The keys in the file that begin with this are the model; all if absent",
    )
    sha256: Digest | None = Field(
        default=None, description="Checksum of the file, or its first digits"
    )
    licence: str | None = Field(default=None, description="Licence of the weights")
    login: Bool = Field(
        default=False, description="The hub asks for a login and for agreement to the licence"
    )
    note: str | None = Field(default=None, description="What to know before using them")
