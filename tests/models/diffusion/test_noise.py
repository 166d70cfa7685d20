"""Noise by place: spans that fit together, and values that are normal and independent."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from zoo.models.diffusion.noise import seeded_noise

BLOCK = 4096
SPLITS = 100


def test_any_split_joins_to_the_whole():
    ran = 0

    @settings(max_examples=SPLITS, deadline=None, database=None)
    @given(st.data())
    def check(data):
        nonlocal ran
        channels = data.draw(st.integers(1, 3))
        first = data.draw(st.integers(0, 5 * BLOCK))
        last = first + data.draw(st.integers(0, 4 * BLOCK))
        cuts = sorted(data.draw(st.lists(st.integers(first, last), max_size=6)))
        seed, clip = data.draw(st.integers(-(2**63), 2**63 - 1)), data.draw(st.integers(0, 99))
        whole = seeded_noise(seed, clip, channels, first, last)
        assert whole.shape == (channels, last - first)
        assert whole.dtype == torch.float32 and whole.is_contiguous()
        ends = zip([first, *cuts], [*cuts, last], strict=True)
        parts = [seeded_noise(seed, clip, channels, *span) for span in ends]
        assert torch.equal(torch.cat(parts, dim=1), whole)
        ran += 1

    check()
    assert ran >= SPLITS


def test_more_channels_leave_the_first_as_they_are():
    assert torch.equal(seeded_noise(1, 2, 5, 77, 9000)[:2], seeded_noise(1, 2, 2, 77, 9000))


def test_far_into_a_clip_and_before_it():
    hour = 3600 * 44100
    whole = seeded_noise(3, 0, 1, hour - 10, hour + 10)
    assert torch.equal(whole[:, 10:], seeded_noise(3, 0, 1, hour, hour + 10))
    assert torch.equal(seeded_noise(3, 0, 1, -5, 5)[:, 5:], seeded_noise(3, 0, 1, 0, 5))


def test_leaves_the_global_generator_and_default_dtype_alone():
    state = torch.get_rng_state()
    first = seeded_noise(0, 0, 2, 0, 100)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(5)
    torch.set_default_dtype(torch.float64)
    try:
        again = seeded_noise(0, 0, 2, 0, 100)
    finally:
        torch.set_default_dtype(torch.float32)
    assert torch.equal(again, first) and again.dtype == torch.float32


def test_is_normal():
    noise = seeded_noise(0, 0, 2, 0, 250 * BLOCK).double().flatten()
    count = noise.numel()
    # Five standard errors of the mean of the first four powers.
    for power, expected, variance in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)):
        error = abs(noise.pow(power).mean() - expected)
        assert error < 5 * (variance / count) ** 0.5, power


def test_blocks_clips_seeds_and_channels_are_uncorrelated():
    span = 64 * BLOCK
    noise = seeded_noise(0, 0, 2, 0, span)
    pairs = {
        "blocks": (noise[0, :-BLOCK], noise[0, BLOCK:]),
        "samples": (noise[0, :-1], noise[0, 1:]),
        "channels": (noise[0], noise[1]),
        "clips": (noise[0], seeded_noise(0, 1, 1, 0, span)[0]),
        "seeds": (noise[0], seeded_noise(1, 0, 1, 0, span)[0]),
        "seed for clip": (
            seeded_noise(1, 0, 1, 0, span)[0],
            seeded_noise(0, 1, 1, 0, span)[0],
        ),
        "clip for block": (noise[0, BLOCK : 2 * BLOCK], seeded_noise(0, 1, 1, 0, BLOCK)[0]),
    }
    for name, (one, other) in pairs.items():
        correlation = (one.double() * other.double()).mean()
        assert abs(correlation) < 5 / one.numel() ** 0.5, name


def test_no_two_blocks_are_alike():
    starts = [
        tuple(seeded_noise(seed, clip, 1, block * BLOCK, block * BLOCK + 4)[0].tolist())
        for seed in range(4)
        for clip in range(8)
        for block in range(32)
    ]
    assert len(set(starts)) == 4 * 8 * 32
