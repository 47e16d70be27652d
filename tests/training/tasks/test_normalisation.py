from __future__ import annotations

import torch
from torch import nn

from neurofer.subjects.networks.architectures import make_network
from neurofer.training.tasks.normalisation import fold, normalise


def test_folded_norms_compute_what_they_computed() -> None:
    torch.manual_seed(0)
    plain = make_network("vgg", 4, width=0.0625, hidden=8)
    net = make_network("vgg", 4, width=0.0625, hidden=8)
    normalise(net)
    kinds = (nn.BatchNorm1d, nn.BatchNorm2d)
    norms = [module for module in net.modules() if isinstance(module, kinds)]
    assert len(norms) == 13 + 1  # and not behind the last layer, whose outputs are the answer
    for norm in norms:  # as after training: neither mean 0 nor scale 1
        nn.init.uniform_(norm.weight, 0.5, 1.5)
        nn.init.uniform_(norm.bias, -0.5, 0.5)
        assert norm.running_mean is not None
        assert norm.running_var is not None
        norm.running_mean.uniform_(-1, 1)
        norm.running_var.uniform_(0.5, 2)
    images = torch.randn(2, 3, 96, 96)
    with torch.no_grad():
        before = net.eval()(images)
        fold(net)
        after = net(images)
    torch.testing.assert_close(after, before, atol=1e-5, rtol=1e-4)
    assert before.std() > 1e-3
    shapes = {key: value.shape for key, value in net.state_dict().items()}
    assert shapes == {key: value.shape for key, value in plain.state_dict().items()}


def test_what_has_no_norms_of_ours_is_left_alone() -> None:
    net = make_network("resnet-18", 3, width=0.0625)
    before = {key: value.clone() for key, value in net.state_dict().items()}
    fold(net)
    assert all(torch.equal(before[key], value) for key, value in net.state_dict().items())


def test_what_is_frozen_stays_as_it_is() -> None:
    net = make_network("pk", 4, width=0.0625, hidden=8, scheme="decision", ciao=True)
    normalise(net)
    norms = [name for name, module in net.named_modules() if isinstance(module, nn.BatchNorm1d)]
    assert norms == ["decide.1.1"]
    assert not any(isinstance(module, nn.BatchNorm2d) for module in net.modules())
