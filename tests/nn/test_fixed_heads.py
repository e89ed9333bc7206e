"""A head of fixed directions, a projection in front of it, and prototypes that answer in its place."""

import pytest
import torch
from torch import nn
from torch.nn.functional import normalize

import perdure
from perdure import Batch, Output, Segment, Step
from perdure.nn import EtfHead, LinearHead, Network, Prototypes, Whole, projected


def admitted(width, classes, seed=0, capacity=8):
    head = EtfHead(width, capacity)
    for c in classes:
        head.admit(c, seed)
    return head


@pytest.mark.parametrize("width", [2, 3, 8])
def test_directions_are_a_simplex(width):
    rows = admitted(width, range(width)).vertices[:width].double()
    expected = torch.full((width, width), -1 / (width - 1), dtype=torch.float64).fill_diagonal_(1.0)
    torch.testing.assert_close(rows @ rows.T, expected, atol=1e-6, rtol=0)
    assert float(rows.sum(0).abs().max()) < 1e-5  # around the origin


def test_a_class_keeps_its_direction():
    early, late = admitted(4, [2, 0, 6]), admitted(4, [6, 5, 0, 1, 2])
    late.grow(32)
    assert torch.equal(early.vertices[[0, 2, 6]], late.vertices[[0, 2, 6]])
    assert not early.vertices[[1, 3, 4, 5]].any()
    assert not torch.equal(early.vertices, admitted(4, [2, 0, 6], seed=1).vertices)
    late.shrink(8)
    assert late.vertices.shape == (8, 4)


def test_logits_are_scaled_cosines():
    head, x = admitted(6, range(6)), torch.randn(5, 6, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(head(x)[:, :6], 16 * normalize(x, dim=1) @ head.vertices[:6].T)
    torch.testing.assert_close(head(3 * x), head(x))


def test_projection_starts_as_the_identity():
    model = perdure.nn.mlp((5,), 3, hidden=(7,))
    x = torch.randn(4, 5)
    torch.testing.assert_close(projected(model)(x).features, model(x).features)


def test_the_last_layer_must_be_known():
    for model in (Whole(nn.Linear(3, 2)), nn.Linear(3, 2), Network(nn.Flatten(), EtfHead(3, 2))):
        with pytest.raises(ValueError, match="split"):
            projected(model)


def step_of(features, y):
    output = Output(torch.zeros(len(y), 4), features)
    segment = Segment(Batch(features, y), output)
    return Step(
        index=0,
        experience=None,
        segments={"current": segment},
        params={},
        seen=torch.ones(4, dtype=torch.bool),
        all_seen=True,
    )


def prototypes(horizon):
    part = Prototypes(horizon)
    part.bind(
        {}, Batch(torch.zeros(1, 3), torch.zeros(1, dtype=torch.int64), stored={"features": torch.zeros(1, 3)}), 4
    )
    return part


def test_prototypes_are_means_until_the_horizon():
    random = torch.Generator().manual_seed(1)
    x, y = torch.randn(60, 3, generator=random), torch.randint(3, (60,), generator=random)
    part = prototypes(1000)
    for rows in torch.arange(60).split(7):
        part.after_step(step_of(x[rows], y[rows]))
    for c in range(3):
        torch.testing.assert_close(part.means[c], normalize(x[y == c], dim=1).mean(0))
    answer = part.answer(Output(torch.zeros(60, 4), x))
    torch.testing.assert_close(answer[:, :3], normalize(x, dim=1) @ normalize(part.means[:3], dim=1).T)
    assert (answer[:, 3] == -2).all()


def test_prototypes_follow_what_changes():
    part, y = prototypes(10), torch.zeros(1, dtype=torch.int64)
    for _ in range(200):
        part.after_step(step_of(torch.tensor([[1.0, 0.0, 0.0]]), y))
    for _ in range(60):
        part.after_step(step_of(torch.tensor([[0.0, 1.0, 0.0]]), y))
    assert part.means[0, 1] > 0.99
    assert part.means[0, 0] < 0.01


def test_one_part_answers():
    model = perdure.nn.linear((3,), 2)
    parts = [perdure.terms.CrossEntropy(), Prototypes(name="a"), Prototypes(name="b")]
    with pytest.raises(ValueError, match="a and b both answer"):
        perdure.Learner(model, lambda p: torch.optim.SGD(p, lr=0.1), parts)


def test_the_part_answers_in_place_of_the_head():
    x = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    y = torch.tensor([0, 1])
    model = perdure.nn.linear((2,), 2)
    learner = perdure.Learner(
        model, lambda p: torch.optim.SGD(p, lr=1e-9), [perdure.terms.CrossEntropy(), Prototypes()]
    )
    with torch.no_grad():
        model.head.weight.copy_(torch.tensor([[0.0, 9.0], [9.0, 0.0]]))  # the head says the opposite
    assert isinstance(model.head, LinearHead)
    learner.observe(Batch(x, y))
    assert learner.predict(x).tolist() == [0, 1]
    assert learner.model(x).logits.argmax(1).tolist() == [1, 0]
