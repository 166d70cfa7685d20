import auraloss
import numpy as np
import pytest
import scipy.signal
import torch

from zoo.nets.weighting import AWeighting, a_weighting_response, a_weighting_taps

RATES = (8000, 16000, 22050, 24000, 32000, 44100, 48000, 96000)


@pytest.mark.parametrize("sample_rate", RATES)
def test_taps_equal_auraloss(sample_rate):
    theirs = auraloss.perceptual.FIRFilter("aw", fs=sample_rate).fir.weight.data.flatten()
    np.testing.assert_allclose(a_weighting_taps(sample_rate), theirs, rtol=0, atol=1e-7)


@pytest.mark.parametrize("taps", [1, 3, 31, 201])
def test_taps_equal_scipys_least_squares(taps):
    sample_rate = 44100
    grid = np.arange(512) / 512 * sample_rate / 2
    gains = a_weighting_response(grid, sample_rate)
    theirs = scipy.signal.firls(taps, grid, gains, fs=sample_rate)
    np.testing.assert_allclose(a_weighting_taps(sample_rate, taps), theirs, rtol=0, atol=1e-9)


def test_response_is_the_standard_curve():
    # IEC 61672's table in dB, far below half this rate, where the bilinear transform warps little.
    table = {
        31.62: -39.4,
        63.10: -26.2,
        125.9: -16.1,
        251.2: -8.6,
        501.2: -3.2,
        1000: 0.0,
        1995: 1.2,
        3981: 1.0,
    }
    gains = a_weighting_response(np.array(list(table)), 192000)
    np.testing.assert_allclose(20 * np.log10(gains), list(table.values()), atol=0.1)


@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 1, 37), (1, 2, 101), (3, 2, 1000)])
def test_filter_equals_auraloss(shape):
    x, y = torch.randn(shape), torch.randn(shape)
    filters = auraloss.perceptual.FIRFilter("aw", fs=44100)
    theirs, _ = filters(x.reshape(-1, 1, shape[-1]), y.reshape(-1, 1, shape[-1]))
    torch.testing.assert_close(AWeighting(44100)(x), theirs.reshape(shape), rtol=1e-5, atol=1e-6)


def test_nothing_to_save_or_train_and_float32():
    weighting = AWeighting(44100)
    assert not weighting.state_dict()
    assert not list(weighting.parameters())
    assert weighting.to(torch.bfloat16).taps.dtype == torch.float32
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert weighting(torch.randn(1, 1, 200, dtype=torch.bfloat16)).dtype == torch.float32
