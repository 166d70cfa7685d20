import io
import threading

import matplotlib.image
import numpy as np
import pytest
import torch

from zoo.errors import AudioError
from zoo.evaluation.plots import png_bytes, spectrogram_figure, write_png


def tone(hz, sample_rate=16000, seconds=1.0, channels=1):
    t = torch.arange(int(sample_rate * seconds)) / sample_rate
    return torch.sin(2 * torch.pi * hz * t).expand(channels, -1)


def images(figure):
    return [axes.images[0] for axes in figure.axes if axes.images]


def test_shared_scale_axes_and_units():
    reference = tone(1000, channels=2)
    figure = spectrogram_figure(reference, 0.1 * reference, 16000, title="A tone")
    above, below = images(figure)
    assert above.get_clim() == below.get_clim() == (-80, 0)
    assert above.get_array().max() == pytest.approx(0, abs=1e-4)
    # A tenth of the amplitude, on the input's scale.
    assert below.get_array().max() == pytest.approx(-20, abs=0.01)
    top, bottom, bar = figure.axes
    assert top.get_title(loc="left") == "Input"
    assert bottom.get_title(loc="left") == "Reconstruction"
    assert bottom.get_xlabel() == "Time (s)"
    assert bottom.get_xlim() == (0, 1)
    assert "Hz" in top.get_ylabel()
    assert "dB" in bar.get_ylabel()


@pytest.mark.parametrize("hz", [500, 1000, 2000, 5000])
def test_a_tone_lies_at_its_tick(hz):
    figure = spectrogram_figure(tone(hz), tone(hz), 16000)
    rows = images(figure)[0].get_array()
    loudest = int(np.argmax(rows.mean(1))) / (len(rows) - 1)
    axes = figure.axes[0]
    label = f"{hz // 1000}k" if hz >= 1000 else str(hz)
    ticks = {
        t.get_text(): y for t, y in zip(axes.get_yticklabels(), axes.get_yticks(), strict=True)
    }
    assert loudest == pytest.approx(ticks[label], abs=0.015)


@pytest.mark.parametrize("samples", [1, 100, 16000])
def test_short_and_silent_signals(samples):
    silence = torch.zeros(1, samples)
    rows = images(spectrogram_figure(silence, silence, 16000))[0].get_array()
    np.testing.assert_allclose(rows, -80, rtol=1e-6)


def test_long_signals_keep_their_loudest_moment():
    reference = torch.zeros(1, 16000 * 60)
    reference[0, 480000] = 1.0
    rows = images(spectrogram_figure(reference, reference, 16000))[0].get_array()
    assert rows.shape[1] == 1600
    assert rows.max() == pytest.approx(0, abs=1e-4)
    assert int(rows.max(0).argmax()) == pytest.approx(800, abs=3)


def test_png_is_written_whole_and_alone(tmp_path):
    figure = spectrogram_figure(tone(440), tone(440), 16000)
    path = write_png(figure, tmp_path / "new" / "a.png")
    assert [p.name for p in path.parent.iterdir()] == ["a.png"]
    picture = matplotlib.image.imread(io.BytesIO(path.read_bytes()))
    assert picture.shape[:2] == (720, 1200)
    assert matplotlib.image.imread(io.BytesIO(png_bytes(figure))).shape == picture.shape


def test_a_failed_write_leaves_nothing(tmp_path, monkeypatch):
    figure = spectrogram_figure(tone(440), tone(440), 16000)

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(OSError, match="disk full"):
        write_png(figure, tmp_path / "a.png")
    assert list(tmp_path.iterdir()) == []


def test_draws_in_threads():
    results = []

    def draw():
        results.append(png_bytes(spectrogram_figure(tone(440), tone(440), 16000)))

    threads = [threading.Thread(target=draw) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 2
    assert results[0] == results[1]


@pytest.mark.parametrize("other", [(1, 9), (2, 10), (1, 1, 10), (0, 10)])
def test_refuses_other_shapes(other):
    with pytest.raises(AudioError, match="shape"):
        spectrogram_figure(torch.zeros(1, 10), torch.zeros(other), 16000)
