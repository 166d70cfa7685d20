import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zoo.config.resolve import parse_recipe, resolve_recipe
from zoo.config.weights import DecayingWeight, is_on, weight_at
from zoo.errors import ConfigError


def test_a_weight_is_that_of_upstreams_loop():
    ran = 0

    @settings(max_examples=60, deadline=None)
    @given(st.floats(0, 100), st.floats(0.5, 1), st.integers(0, 50))
    def check(weight, decay, update):
        nonlocal ran
        ran += 1
        expected = weight
        for _ in range(update + 1):
            expected *= decay
        assert weight_at(DecayingWeight(weight=weight, decay=decay), update) == pytest.approx(
            expected, rel=1e-9, abs=1e-300
        )
        assert weight_at(weight, update) == weight
        assert is_on(DecayingWeight(weight=weight, decay=decay)) == is_on(weight) == (weight > 0)

    check()
    assert ran >= 60


NAMES = ["l1", "l2", "normalised_l2", "si_sdr", "kl", "mmd", "commitment", "stft.weight"]


@pytest.mark.parametrize("name", [*NAMES, "mel.weight"])
def test_every_weight_may_decay_and_survives_the_run_folder(name):
    recipe = resolve_recipe("starter", overrides=[f"losses.{name}={{weight: 2, decay: 0.99}}"])
    again = parse_recipe(recipe.to_dict(), [], "")
    assert again == recipe
    found = again.losses
    for key in name.split("."):
        found = getattr(found, key)
    assert found == DecayingWeight(weight=2, decay=0.99)
    assert resolve_recipe("starter", overrides=[f"losses.{name}=3"]) != recipe


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("losses.l1=-1", r"losses\.l1: must be greater than or equal to 0, not -1"),
        ("losses.l1=true", r"losses\.l1: must be a number, not true or false"),
        ("losses.l1=[1]", r"losses\.l1: must be a valid number"),
        ("losses.l1={weight: 1, decay: 2}", r"losses\.l1\.decay: must be less than or equal to 1"),
        ("losses.l1={weight: 1, dcay: 1}", r"dcay: unknown key; did you mean 'decay'"),
        ("losses.l1={decay: 0.9}", r"losses\.l1\.weight: required"),
        (
            "losses.mel={weight: 1, n_mels: [5]}",
            r"mel\.window_lengths: 7 entries, but",
        ),
        ("losses.stft.scale=mel", r"losses\.stft\.n_bins: goes with"),
        ("losses.stft={scale: mel, n_bins: [5]}", r"n_bins: 1 entries, but fft_sizes has"),
        ("schedule={alternate: true}", r"schedule\.alternate: there is no discriminator"),
        ("schedule={latent_mask: 1.5}", r"schedule\.latent_mask: must be less than"),
        (
            "schedule={noise_warmup_steps: -1}",
            r"schedule\.noise_warmup_steps: must be greater than",
        ),
        ("teacher={}", r"teacher\.checkpoint: required"),
    ],
)
def test_one_problem_with_its_path(override, message):
    with pytest.raises(ConfigError, match=message) as error:
        resolve_recipe("starter", overrides=["discriminator=null", override])
    assert len(error.value.problems) == 1


def test_a_frozen_encoder_needs_a_decoder_that_learns():
    overrides = ["schedule.freeze_encoder_at=3", "freeze=[decoder]"]
    with pytest.raises(ConfigError, match="leaves nothing to train"):
        resolve_recipe("starter", overrides=overrides)


def test_a_teacher_or_one_new_loss_is_enough_to_learn_from():
    off = ["discriminator=null", "losses.stft.weight=0"]
    off += [f"losses.{name}=0" for name in ("l1", "l2", "normalised_l2")]
    with pytest.raises(ConfigError, match="nothing to learn"):
        resolve_recipe("starter", overrides=off)
    for more in ("losses.si_sdr=1", "losses.mel.weight=1", "teacher.checkpoint=x"):
        resolve_recipe("starter", overrides=[*off, more])


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            ["model.bottleneck=null", "model.encoder.config.latent_dim=32"],
            "bottleneck of type 'vae'",
        ),
        (["engine=stable-audio-tools"], "needs engine 'zoo', not 'stable-audio-tools'"),
    ],
)
def test_a_warm_up_of_noise_needs_a_vae_of_ours(overrides, message):
    with pytest.raises(ConfigError, match=rf"schedule\.noise_warmup_steps: .*{message}"):
        resolve_recipe("starter", overrides=["schedule.noise_warmup_steps=9", *overrides])
