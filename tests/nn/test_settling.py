"""Batch normalization that settles: statistics stand still, also after a state was loaded, copied or asked."""

import copy

import pytest
import torch
from torch import nn

from perdure import Batch, Experience, Learner
from perdure.nn import Frozen, LinearHead, Network, SettleNorms, SettlingNorm, with_settling_norms
from perdure.terms import CrossEntropy


def make():
    torch.manual_seed(0)
    net = Network(nn.Sequential(nn.Linear(3, 5), nn.BatchNorm1d(5), nn.ReLU()), LinearHead(5, 2))
    return Learner(with_settling_norms(net), lambda p: torch.optim.SGD(p, lr=0.1), [CrossEntropy(), SettleNorms()])


def observe(learner, mean):
    random = torch.Generator().manual_seed(0)
    learner.observe(Batch(mean + torch.randn(8, 3, generator=random), torch.arange(8) % 2))


def statistics(learner):
    return learner.model.backbone[1].norm.running_mean.clone()


def loaded(learner):
    other = make()
    other.load_state_dict(learner.state_dict())
    return other


def asked(learner):
    learner.predict(torch.zeros(2, 3))
    return learner


@pytest.mark.parametrize("then", [lambda learner: learner, loaded, copy.deepcopy, asked])
def test_statistics_follow_the_first_experience_only(then):
    learner = make()
    learner.begin(Experience(0, (0, 1)))
    before = statistics(learner)
    observe(learner, 0.0)
    assert not torch.equal(statistics(learner), before)
    learner.end()
    learner = then(learner)
    settled = statistics(learner)
    observe(learner, 5.0)
    assert torch.equal(statistics(learner), settled)


def test_going_back_to_a_state_before_that_unsettles():
    learner = make()
    learner.begin(Experience(0, (0, 1)))
    observe(learner, 0.0)
    early = copy.deepcopy(learner.state_dict())
    learner.end()
    learner.load_state_dict(early)
    before = statistics(learner)
    observe(learner, 5.0)
    assert not torch.equal(statistics(learner), before)


def test_norms_are_wrapped_once_wherever_they_are():
    net = nn.Sequential(nn.Sequential(nn.BatchNorm1d(3)), nn.BatchNorm1d(3, track_running_stats=False))
    wrapped = with_settling_norms(with_settling_norms(net))
    assert wrapped is net
    assert isinstance(net[0][0], SettlingNorm)
    assert isinstance(net[0][0].norm, nn.BatchNorm1d)
    assert isinstance(net[1], nn.BatchNorm1d)


def test_what_is_frozen_stays_in_eval_mode():
    net = with_settling_norms(nn.Sequential(Frozen(nn.Sequential(nn.BatchNorm1d(3)))))
    assert not net.train()[0].module[0].norm.training
