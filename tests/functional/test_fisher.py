"""The Fisher information equals what autograd says of one example after the other."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from perdure.functional.fisher import squared_batch_gradient, squared_gradients
from perdure.nn import mlp

ALLOWED = {
    "all": None,
    "seen": torch.tensor([True, False, True, True]),
    "of the task": torch.tensor([[True, True, False, False]] * 4 + [[False, False, True, True]] * 2),
}
Y = torch.tensor([0, 0, 1, 1, 2, 3])


def net(seed=0):
    torch.manual_seed(seed)
    model = mlp((3,), 4, hidden=(5,)).double().eval()
    for p in model.parameters():
        torch.nn.init.normal_(p)
    return model, dict(model.named_parameters())


def log_p(model, x, allowed, b):
    logits = model(x[b : b + 1]).logits[0]
    row = torch.ones(4, dtype=torch.bool) if allowed is None else allowed.expand(len(x), 4)[b]
    return row, F.log_softmax(logits[row], 0)


def squares(model, params, value):
    grads = torch.autograd.grad(value, list(params.values()), retain_graph=True)
    return {name: g**2 for name, g in zip(params, grads, strict=True)}


def expected(model, params, x, allowed, labels):
    """By hand: over examples and labels, with probabilities over the allowed classes only."""
    total = {name: torch.zeros_like(p) for name, p in params.items()}
    for b in range(len(x)):
        row, logs = log_p(model, x, allowed, b)
        places, chances = row.nonzero()[:, 0].tolist(), logs.detach().exp().tolist()
        if labels == "expectation":
            weighted = [*zip(chances, range(len(places)), strict=True)]
        else:
            weighted = [(1.0, int(logs.argmax()) if labels == "predicted" else places.index(int(Y[b])))]
        for weight, i in weighted:
            for name, g in squares(model, params, logs[i]).items():
                total[name] += weight * g
    return total


CASES = [(allowed, labels) for allowed in ALLOWED for labels in ("expectation", "predicted")]


@pytest.mark.parametrize(("allowed", "labels"), [*CASES, ("all", "true"), ("of the task", "true")])
def test_it_is_autograds_one_by_one(allowed, labels):
    model, params = net()
    x = torch.randn(6, 3).double()
    found = squared_gradients(model, params, x, ALLOWED[allowed], labels, Y)
    for name, value in expected(model, params, x, ALLOWED[allowed], labels).items():
        torch.testing.assert_close(found[name], value)


@settings(max_examples=25)
@given(st.lists(st.integers(1, 5), min_size=1, max_size=4), st.integers(0, 100))
def test_it_does_not_depend_on_the_batches(sizes, seed):
    model, params = net(seed)
    x = torch.randn(sum(sizes), 3).double()
    whole = squared_gradients(model, params, x)
    parts = [squared_gradients(model, params, part) for part in x.split(sizes)]
    for name, value in whole.items():
        torch.testing.assert_close(sum(part[name] for part in parts), value)


def test_sampled_labels_have_the_expectation_as_their_mean():
    model, params = net()
    x, draws = torch.randn(1, 3).double(), 20_000
    allowed = ALLOWED["seen"]
    found = squared_gradients(
        model, params, x.expand(draws, -1), allowed, "sampled", generator=torch.Generator().manual_seed(0)
    )
    exact = squared_gradients(model, params, x, allowed)
    logs = log_p(model, x, allowed, 0)[1]
    each = [squares(model, params, value) for value in logs]
    for name, value in exact.items():
        spread = sum(p * (g[name] - value) ** 2 for p, g in zip(logs.exp().detach(), each, strict=True)).sqrt()
        assert bool(((found[name] / draws - value).abs() <= 4.5 * spread / draws**0.5 + 1e-12).all())


def test_the_square_of_a_batch_mean_is_another_quantity():
    """Of one example it is the Fisher information; of more it is the published codes' B times the mean's square."""
    model, params = net()
    x = torch.randn(6, 3).double()
    one, ours = (
        squared_batch_gradient(model, params, x[:1]),
        squared_gradients(model, params, x[:1], labels="predicted"),
    )
    logits = model(x).logits
    grads = torch.autograd.grad(F.cross_entropy(logits, logits.argmax(1)), list(params.values()))
    found, exact = squared_batch_gradient(model, params, x), squared_gradients(model, params, x, labels="predicted")
    for (name, value), g in zip(found.items(), grads, strict=True):
        torch.testing.assert_close(one[name], ours[name])
        torch.testing.assert_close(value, 6 * g**2)
        assert not torch.allclose(value, exact[name] / 6)


def test_true_labels_must_be_given():
    model, params = net()
    with pytest.raises(ValueError, match="give y="):
        squared_gradients(model, params, torch.randn(2, 3).double(), labels="true")


def test_labels_that_are_drawn_need_a_generator():
    model, params = net()
    with pytest.raises(ValueError, match="give generator="):
        squared_gradients(model, params, torch.randn(2, 3).double(), labels="sampled")
