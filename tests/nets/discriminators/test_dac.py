"""Periods, sample rates and resolutions against upstream's and descript-audio-codec's classes."""

import copy
import random

import pytest
import torch

from tests.nets.discriminators.same import assert_same, assert_same_gradients, randomise
from tests.oracle import import_upstream
from zoo.nets.discriminators.dac import DACDiscriminator, normalise
from zoo.nets.discriminators.multi_period import PeriodDiscriminator
from zoo.nets.discriminators.multi_rate import Decimate, RateDiscriminator
from zoo.nets.discriminators.multi_resolution import ResolutionDiscriminator

pytestmark = pytest.mark.filterwarnings("ignore:.*weight_norm:FutureWarning")
upstream = import_upstream("stable_audio_tools.models.discriminators")
dac = import_upstream("dac.model.discriminator")
julius = import_upstream("julius")
CASES = 8


def compare(ours, theirs, channels: int, samples: int) -> None:
    randomise(theirs)
    ours.load_state_dict(theirs.state_dict(), strict=True)
    x = 0.3 * torch.randn(2, channels, samples)
    logits, features = ours(x)
    *their_features, their_logits = theirs(x)
    torch.testing.assert_close(logits, their_logits, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(features, their_features, rtol=1e-5, atol=1e-5)
    for judged in (logits, their_logits):
        judged.square().mean().backward()
    assert_same_gradients(ours, theirs)


def test_periods_equal_upstreams():
    draw, ran = random.Random(0), 0
    torch.manual_seed(0)
    for _ in range(CASES):
        period, channels = draw.choice([2, 3, 5, 11]), draw.randint(1, 3)
        samples = draw.choice([period * draw.randint(2, 30), draw.randint(12, 400)])
        theirs = upstream.MPD(period, channels=channels)
        compare(PeriodDiscriminator(period, channels), theirs, channels, samples)
        ran += 1
    assert ran == CASES


def test_rates_equal_descripts():
    draw, ran = random.Random(1), 0
    torch.manual_seed(1)
    for _ in range(CASES):
        rate = draw.choice([1, 2, 3, 4, 7])
        theirs = dac.MSD(rate, sample_rate=44100)
        compare(RateDiscriminator(rate), theirs, 1, draw.randint(rate, 3000))
        ran += 1
    assert ran == CASES


def test_rates_of_more_channels_have_upstreams_keys():
    theirs = upstream.MSD(2, channels=2).state_dict()
    RateDiscriminator(2, channels=2).load_state_dict(theirs, strict=True)


def test_decimation_equals_julius():
    draw, ran = random.Random(2), 0
    for _ in range(30):
        factor = draw.randint(1, 12)
        x = torch.randn(2, 2, draw.randint(factor, 1000))
        expected = julius.resample_frac(x, factor * 100, 100)
        torch.testing.assert_close(Decimate(factor)(x), expected, rtol=1e-5, atol=1e-5)
        ran += 1
    assert ran == 30


def test_resolutions_equal_upstreams():
    draw, ran = random.Random(3), 0
    torch.manual_seed(3)
    for _ in range(CASES):
        size = draw.choice([20, 64, 128, 200])
        bands = draw.choice([upstream.BANDS, [(0.0, 0.3), (0.3, 1.0)], [(0.1, 0.9)]])
        channels = draw.randint(1, 3)
        theirs = upstream.MRD(size, bands=bands, channels=channels)
        compare(ResolutionDiscriminator(size, bands), theirs, channels, draw.randint(size, 700))
        ran += 1
    assert ran == CASES


def test_all_of_them_equal_upstreams():
    draw, ran = random.Random(4), 0
    torch.manual_seed(4)
    for _ in range(4):
        channels = draw.randint(1, 2)
        settings = {
            "periods": draw.choice([[2], [3, 2], []]),
            "fft_sizes": draw.choice([[64, 32], [128]]),
            "bands": [(0.0, 0.5), (0.5, 1.0)],
        }
        theirs = upstream.DACGANLoss(channels=channels, **settings)
        ours = DACDiscriminator(channels, **settings)
        randomise(theirs)
        ours.load_state_dict(theirs.state_dict(), strict=True)
        # An offset and a gain that the normalisation has to remove.
        x = draw.uniform(0.01, 10) * torch.randn(2, channels, draw.randint(150, 600)) + 0.5
        maps = theirs.discriminator(x)
        assert_same(ours(x), [one[-1] for one in maps], [one[:-1] for one in maps])
        ran += 1
    assert ran == 4


def test_with_rates_it_equals_descripts():
    settings = {"rates": [2], "periods": [3], "fft_sizes": [64], "bands": [(0.0, 1.0)]}
    theirs = dac.Discriminator(sample_rate=8000, **settings)
    ours = DACDiscriminator(**settings)
    ours.discriminator.load_state_dict(
        {key: value for key, value in theirs.state_dict().items() if key != "metadata"}
    )
    x = torch.randn(2, 1, 777)
    maps = theirs(x)
    assert_same(ours(x), [one[-1] for one in maps], [one[:-1] for one in maps])


def test_begins_as_upstream_from_the_same_seed():
    settings = {"rates": [1], "periods": [2], "fft_sizes": [64]}
    torch.manual_seed(3)
    theirs = upstream.DACGANLoss(**settings).state_dict()
    torch.manual_seed(3)
    ours = DACDiscriminator(**settings).state_dict()
    assert ours.keys() == theirs.keys()
    for key, value in ours.items():
        torch.testing.assert_close(value, theirs[key], rtol=1e-6, atol=1e-7, msg=key)


def test_silence_stays_silence():
    assert torch.equal(normalise(torch.zeros(1, 2, 9)), torch.zeros(1, 2, 9))


def test_spectra_are_judged_channels_last():
    _, features = ResolutionDiscriminator(32)(torch.randn(1, 2, 300))
    assert all(f.is_contiguous(memory_format=torch.channels_last) for f in features)


def test_copies_deeply_and_runs_under_autocast():
    # Below 3 bins, torch's bfloat16 convolutions on a CPU read memory that isn't theirs.
    ours = DACDiscriminator(2, rates=[2], periods=[2], fft_sizes=[512])
    x = torch.randn(1, 2, 700)
    copied = copy.deepcopy(ours)
    torch.testing.assert_close(copied(x).logits, ours(x).logits)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = ours(x).logits
    for one, other in zip(logits, copied(x).logits, strict=True):
        torch.testing.assert_close(one.float(), other, rtol=0.1, atol=0.05)
