"""Names of the samplers. The command line reads them, so nothing heavy is imported here."""

from __future__ import annotations

from enum import StrEnum


class Sampler(StrEnum):
    """Ways from noise to audio; see `zoo.models.diffusion.samplers`."""

    DDIM = "ddim"
    DPMPP_2M = "dpmpp_2m"
    EULER = "euler"
    HEUN = "heun"
    PINGPONG = "pingpong"
