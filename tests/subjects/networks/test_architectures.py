from __future__ import annotations

import pytest
import torch
from torch import nn

from neurofer.errors import NeuroferError
from neurofer.subjects.hooks import activity
from neurofer.subjects.networks.architectures import ARCHITECTURES, make_network, scale_pixels


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_site_of_every_network_responds(name: str) -> None:
    torch.manual_seed(0)
    architecture = ARCHITECTURES[name]
    net = make_network(name, 1 if architecture.tower else 7, width=0.0625).eval()
    net = net.get_submodule(architecture.tower)
    images = torch.rand(2, 1 if architecture.gray else 3, *[architecture.size] * 2) * 255
    assert architecture.features in architecture.sites
    with torch.inference_mode():
        seen = scale_pixels(images)
        found = activity(net, seen, architecture.sites)
        assert list(found) == list(architecture.sites)
        assert all(len(values) == 2 for values in found.values())
        torch.testing.assert_close(found[architecture.sites[-1]], net(seen))
        for site in architecture.sites:
            torch.testing.assert_close(activity(net, seen, [site])[site], found[site])


def test_the_pass_ends_at_the_last_site_that_is_asked_for() -> None:
    net, called = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 2)), []
    net[2].register_forward_hook(lambda *arguments: called.append(1))
    activity(net, torch.rand(1, 2), ["1"])
    assert not called
    assert not net[1]._forward_hooks
    activity(net, torch.rand(1, 2), ["2", "0"])
    assert called


def test_steps_of_one_module_are_told_apart() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.output = nn.Identity()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.output(self.output(x) + 1)

    found = activity(Twice(), torch.zeros(1, 1), ["output-t1", "output-t0"])
    assert [value.item() for value in found.values()] == [1, 0]
    with pytest.raises(NeuroferError, match=r"output-t2 did not respond .*\{'output': 2\}"):
        activity(Twice(), torch.zeros(1, 1), ["output-t2"])


def test_unknown_names_and_options_are_answered_with_the_choices() -> None:
    with pytest.raises(NeuroferError, match=r"network='cornet'.*did you mean 'cornet-s'"):
        make_network("cornet", 3)
    with pytest.raises(NeuroferError, match=r"option='wide'.*width, stride"):
        make_network("resnet-50", 3, wide=2)
    with pytest.raises(NeuroferError, match=r"outputs=7; .* one person: .*task verification"):
        make_network("siamese", 7)
    with pytest.raises(NeuroferError, match="outputs=0"):
        make_network("resnet-50", 0)
