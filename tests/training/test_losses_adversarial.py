import pytest
import torch

from tests.oracle import import_upstream
from zoo.nets.discriminators.judgement import Judgement
from zoo.nets.discriminators.multi_scale_stft import EncodecDiscriminator
from zoo.training.losses import (
    feature_matching,
    hinge_discriminator,
    hinge_generator,
    least_squares_discriminator,
    least_squares_generator,
    relativistic_discriminator,
    relativistic_generator,
    unit_hinge_discriminator,
    unit_hinge_generator,
)

pytestmark = pytest.mark.filterwarnings("ignore:.*weight_norm:FutureWarning")
discriminators = import_upstream("stable_audio_tools.models.discriminators")
SMALL = {"filters": 3, "n_ffts": [64, 32], "hop_lengths": [16, 8], "win_lengths": [64, 20]}


@pytest.mark.parametrize("normalised", [True, False])
@pytest.mark.parametrize("seed", range(5))
def test_equals_upstreams_losses_and_gradients(seed, normalised):
    torch.manual_seed(seed)
    # In float64: in float32, rounding decides on which side of a kink a value near it lies.
    theirs = discriminators.EncodecDiscriminator(normalize_losses=normalised, **SMALL).double()
    ours = EncodecDiscriminator(**SMALL).double()
    ours.load_state_dict(theirs.state_dict())
    reals, fakes = torch.randn(2, 2, 1, 300).double()

    x = fakes.clone().requires_grad_()
    dis, adv, matching = theirs.loss(reals, x)
    (expected,) = torch.autograd.grad(0.1 * adv + 5 * matching, x, retain_graph=True)
    expected_weights = torch.autograd.grad(dis, list(theirs.parameters()))

    y = fakes.clone().requires_grad_()
    with torch.no_grad():
        real = ours(reals)
    fake = ours(y)
    our_adv, our_matching = (
        hinge_generator(fake),
        feature_matching(real, fake, normalised=normalised),
    )
    torch.testing.assert_close(our_adv, adv, rtol=1e-9, atol=1e-11)
    torch.testing.assert_close(our_matching, matching, rtol=1e-9, atol=1e-11)
    (grad,) = torch.autograd.grad(0.1 * our_adv + 5 * our_matching, y)
    torch.testing.assert_close(grad, expected, rtol=1e-9, atol=1e-11)

    our_dis = hinge_discriminator(ours(reals), ours(fakes))
    torch.testing.assert_close(our_dis, dis, rtol=1e-9, atol=1e-11)
    weights = dict(zip((n for n, _ in theirs.named_parameters()), expected_weights, strict=True))
    our_dis.backward()
    for name, parameter in ours.named_parameters():
        torch.testing.assert_close(parameter.grad, weights[name], rtol=1e-9, atol=1e-11, msg=name)


def test_values_by_hand():
    reals = Judgement([torch.tensor([2.0, 0.0]), torch.tensor([1.0])], [[], []])
    fakes = Judgement([torch.tensor([-2.0, 1.0]), torch.tensor([0.5])], [[], []])
    assert hinge_discriminator(reals, fakes).item() == pytest.approx((0.5 + 1.0 + 0.0 + 1.5) / 2)
    assert hinge_generator(fakes).item() == pytest.approx((0.5 - 0.5) / 2)
    assert least_squares_discriminator(reals, fakes).item() == pytest.approx((1 + 2.5 + 0.25) / 2)
    assert least_squares_generator(fakes).item() == pytest.approx((4.5 + 0.25) / 2)
    assert unit_hinge_discriminator(reals, fakes).item() == pytest.approx((0.5 + 0.5 + 0 + 0.5) / 2)
    assert unit_hinge_generator(fakes).item() == pytest.approx((1.5 + 0.5) / 2)


def test_relativistic_losses_by_their_formula():
    torch.manual_seed(0)
    reals = Judgement([3 * torch.randn(2, 1, 5, 4), torch.randn(7)], [[], []])
    fakes = Judgement([3 * torch.randn(2, 1, 5, 4), torch.randn(7)], [[], []])
    differences = [
        real.double() - fake.double() for real, fake in zip(reals.logits, fakes.logits, strict=True)
    ]
    told_apart = sum(-torch.log(torch.sigmoid(d)).mean() for d in differences) / 2
    passing = sum(-torch.log(torch.sigmoid(-d)).mean() for d in differences) / 2
    assert relativistic_discriminator(reals, fakes).item() == pytest.approx(told_apart.item())
    assert relativistic_generator(reals, fakes).item() == pytest.approx(passing.item())
    assert told_apart != pytest.approx(passing.item(), rel=0.01)


def test_no_gradient_reaches_the_real_features():
    real = torch.randn(1, 2, 4, 4, requires_grad=True)
    fake = torch.randn(1, 2, 4, 4, requires_grad=True)
    feature_matching(Judgement([], [[real]]), Judgement([], [[fake]]), normalised=True).backward()
    assert real.grad is None
    assert fake.grad is not None


def test_gradient_keeps_channels_last():
    last = torch.channels_last
    real = torch.randn(1, 3, 5, 7).contiguous(memory_format=last)
    fake = torch.randn(1, 3, 5, 7).contiguous(memory_format=last).requires_grad_()
    loss = feature_matching(Judgement([], [[real]]), Judgement([], [[fake * 1]]))
    (grad,) = torch.autograd.grad(loss, fake)
    assert grad.is_contiguous(memory_format=last)


def test_half_precision_judgements_are_summed_in_float32():
    real, fake = (torch.randn(1, 8, 64, 64, dtype=torch.float16) for _ in range(2))
    loss = feature_matching(Judgement([], [[real]]), Judgement([], [[fake]]))
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(
        (real.double() - fake.double()).abs().mean().item(), rel=1e-3
    )
