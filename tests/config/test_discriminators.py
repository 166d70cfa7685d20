"""What a discriminator's config refuses, and what it takes from upstream's."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from zoo.config.discriminators import DiscriminatorConfig
from zoo.config.problems import validate_any
from zoo.config.resolve import resolve_recipe
from zoo.errors import ConfigError
from zoo.nets.discriminators.dac import DACDiscriminator
from zoo.training.build import build_discriminator


def problems(*overrides: str) -> dict[str, str]:
    with pytest.raises(ConfigError) as caught:
        resolve_recipe("oobleck_vae", overrides=overrides)
    return {problem.path: problem.message for problem in caught.value.problems}


@pytest.mark.parametrize("kind", ["encodec", "dac", "oobleck", "big_vgan"])
def test_a_type_alone_is_enough(kind):
    recipe = resolve_recipe("oobleck_vae", overrides=[f"discriminator={{type: {kind}}}"])
    judge = recipe.discriminator
    assert judge.type == kind
    assert judge.weights.adversarial == 0.1
    assert validate_any(DiscriminatorConfig, judge.to_dict()) == judge


def test_an_unknown_type_is_refused():
    assert problems("discriminator.type=bigvgan")["discriminator.type"].startswith(
        "unknown value 'bigvgan'; did you mean 'big_vgan'?"
    )


@pytest.mark.parametrize(
    ("kind", "setting", "path", "message"),
    [
        ("encodec", "loss_type=wgan", "loss_type", "unknown value 'wgan'"),
        ("dac", "fft_sizes=[2046]", "fft_sizes.0", "multiple of 4"),
        ("dac", "periods=[1]", "periods.0", "greater than or equal to 2"),
        ("dac", "loss_type=hinge", "loss_type", "unknown key"),
        ("dac", "bands=[[0.5,0.1]]", "bands", "no bin of an FFT of 2048"),
        ("dac", "bands=[[0,0.003]]", "bands", "no bin of an FFT of 512"),
        ("dac", "{periods: [], fft_sizes: []}", "", "all empty"),
        ("oobleck", "in_channels=1", "in_channels", "1, but the model gives 2 channels"),
        ("big_vgan", "periods=[]", "periods", "at least 1 item"),
        ("big_vgan", "cqtd_n_octaves=[9,9]", "cqtd_n_octaves", "2 entries, but"),
        ("big_vgan", "cqtd_n_octaves=[9,11,9]", "cqtd_n_octaves", "above the sample rate of 44100"),
        ("big_vgan", "cqtd_filter=3", "cqtd_filter", "did you mean 'cqtd_filters'?"),
    ],
)
def test_refusals(kind, setting, path, message):
    key = "discriminator.config" + (f".{path}" if path else "")
    given = f"discriminator.config{'=' if setting.startswith('{') else '.'}{setting}"
    found = problems(f"discriminator={{type: {kind}}}", given)
    assert message in found[key]
    assert len(found) == 1


def test_a_segment_too_short_to_be_judged():
    settings = ["discriminator={type: dac}", "discriminator.config.fft_sizes=[4096]"]
    assert "needs 2560" in problems(*settings, "data.segment_samples=2048")["data.segment_samples"]
    resolve_recipe("oobleck_vae", overrides=[*settings, "data.segment_samples=4096"])


def test_the_shortest_signal_is_judged():
    ran = 0

    @settings(max_examples=20, deadline=None)
    @given(
        st.lists(st.integers(2, 12), max_size=1),
        st.lists(st.integers(4, 40).map(lambda n: 4 * n), max_size=2),
        st.lists(st.integers(1, 9), max_size=1),
    )
    def judge(periods, sizes, rates):
        nonlocal ran
        parameters = {"periods": periods, "fft_sizes": sizes, "rates": rates, "bands": [[0, 1]]}
        config = validate_any(DiscriminatorConfig, {"type": "dac", "config": parameters})
        refused = list(config.contradictions(8000, 1))
        assert bool(refused) == (not (periods or sizes or rates))
        if not refused:
            judgement = build_discriminator(config, 1, 8000)(torch.randn(1, 1, config.min_samples))
            assert all(torch.isfinite(logits).all() for logits in judgement.logits)
        ran += 1

    judge()
    assert ran >= 20


def test_one_sample_less_is_too_few_for_a_period_or_a_spectrum():
    for parameters, samples in (({"periods": [5], "fft_sizes": []}, 5), ({"fft_sizes": [64]}, 24)):
        net = DACDiscriminator(**{"periods": [], **parameters})
        with pytest.raises(RuntimeError, match="Padding size should be less"):
            net(torch.randn(1, 1, samples))
