"""Statistics of latents against scipy and numpy."""

from __future__ import annotations

import numpy as np
import scipy.stats
import torch

from zoo.evaluation.latents import LatentMoments
from zoo.evaluation.plots import latents_figure


def batches(channels: int = 5) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    mix = torch.randn(channels, channels, generator=generator)
    given = []
    for count, frames in ((3, 40), (1, 7), (2, 100)):
        x = torch.randn(count, channels, frames, generator=generator) ** 3
        given.append(torch.einsum("cd,bdf->bcf", mix, x) + 10)
        given[-1][:, 2] = 0.7
        given[-1][:, 3] = 1 + 1e-3 * x[:, 3]
    return given


def found(given: list[torch.Tensor]):
    moments = LatentMoments()
    for latents in given:
        moments.add(latents)
    return moments.statistics(lambda sums: sums)


def test_moments_and_components_are_those_of_all_frames_together():
    given = batches()
    frames = np.concatenate([x.double().movedim(1, 0).flatten(1).numpy() for x in given], 1)
    result = found(given)
    np.testing.assert_allclose(result.mean, frames.mean(1), rtol=1e-9)
    np.testing.assert_allclose(result.std[[0, 1, 3, 4]], frames.std(1)[[0, 1, 3, 4]], rtol=1e-6)
    assert result.std[2] == 0
    kurtosis = scipy.stats.kurtosis(frames[[0, 1, 4]], axis=1, fisher=False)
    np.testing.assert_allclose(result.kurtosis[[0, 1, 4]], kurtosis, rtol=1e-6)
    assert result.kurtosis[2].isnan()
    assert result.dead.tolist() == [False, False, True, True, False]
    variances = np.linalg.svd(frames - frames.mean(1, keepdims=True), compute_uv=False) ** 2
    np.testing.assert_allclose(result.variances, variances / frames.shape[1], atol=1e-9)
    projected = result.project(torch.from_numpy(frames), 3).numpy()
    np.testing.assert_allclose(projected.var(1), variances[:3] / frames.shape[1], rtol=1e-6)
    expected = variances.sum() ** 2 / (variances**2).sum()
    np.testing.assert_allclose(result.effective_dimensions, expected)


def test_processes_are_summed():
    one, two, three = batches()
    other = LatentMoments()
    other.add(three)
    moments = LatentMoments()
    moments.add(one)
    moments.add(two)
    both = moments.statistics(lambda sums: sums + other._sums)
    torch.testing.assert_close(both.mean, found(batches()).mean)


def test_what_is_not_finite_has_no_statistics():
    assert found([torch.full((1, 2, 3), torch.nan)]) is None


def test_the_picture_has_spectrum_and_three_components():
    given = batches()
    figure = latents_figure(found(given), given[0][0], seconds=2.0)
    left, right = figure.axes
    heights = [bar.get_height() for bar in left.patches]
    assert len(heights) == 5
    assert heights == sorted(heights, reverse=True)
    np.testing.assert_allclose(sum(heights), 1)
    assert len(right.lines) == 3
    assert right.lines[0].get_xdata()[[0, -1]].tolist() == [0.025, 1.975]
    # One channel alone has one component.
    figure = latents_figure(found([given[0][:, :1]]), given[0][0, :1], seconds=2.0)
    assert len(figure.axes[1].lines) == 1
