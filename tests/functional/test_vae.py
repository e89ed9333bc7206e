"""The variational autoencoder's bound against torch.distributions and finite differences."""

import torch
from torch.distributions import Bernoulli, Normal, kl_divergence

from perdure.functional.vae import decode, encode, initial_weights, kl_to_standard_normal, layer_shapes, negative_elbo


def start(inputs=5, hidden=(4, 3), latent=2):
    random = torch.Generator().manual_seed(0)
    weights = [w.double() for w in initial_weights(layer_shapes(inputs, hidden, latent), random)]
    x = torch.rand(6, inputs, generator=random, dtype=torch.float64).round()
    return weights, x, torch.randn(6, latent, generator=random, dtype=torch.float64)


def test_encoder_and_decoder_mirror_each_other():
    weights, x, noise = start()
    assert [tuple(w.shape) for w in weights[::2]] == [(4, 5), (3, 4), (4, 3), (3, 2), (4, 3), (5, 4)]
    mean, log_variance = encode(weights, x)
    assert mean.shape == log_variance.shape == (6, 2)
    assert decode(weights, noise).shape == x.shape


def test_weights_begin_as_those_of_linear_layers():
    weights = initial_weights([(400, 784), (400,)], torch.Generator().manual_seed(0))
    layer = torch.nn.Linear(784, 400)
    for mine, theirs in zip(weights, (layer.weight, layer.bias), strict=True):
        assert mine.abs().max() <= 784**-0.5
        assert abs(mine.std() - theirs.std()) < 0.05 * theirs.std()


def test_divergence_is_that_of_torch_distributions():
    weights, x, _ = start()
    mean, log_variance = encode(weights, x)
    posterior = Normal(mean, (log_variance / 2).exp())
    expected = kl_divergence(posterior, Normal(torch.zeros_like(mean), torch.ones_like(mean))).sum(1)
    assert torch.allclose(kl_to_standard_normal(mean, log_variance), expected, rtol=1e-12)


def test_bound_is_that_of_torch_distributions():
    weights, x, noise = start()
    mean, log_variance = encode(weights, x)
    posterior = Normal(mean, (log_variance / 2).exp())
    z = mean + noise * posterior.stddev
    likelihood = Bernoulli(logits=decode(weights, z)).log_prob(x).sum(1)
    expected = likelihood - kl_divergence(posterior, Normal(0.0, 1.0)).sum(1)
    assert torch.allclose(negative_elbo(weights, x, noise), -expected / x.shape[1], rtol=1e-12)


def test_gradient_is_that_of_finite_differences():
    weights, x, noise = start()
    leaves = [w.requires_grad_() for w in weights]
    assert torch.autograd.gradcheck(lambda *w: negative_elbo(w, x, noise).sum(), leaves)
