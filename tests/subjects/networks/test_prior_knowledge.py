from __future__ import annotations

import torch

from neurofer.subjects.networks.prior_knowledge import (
    Encoder,
    Generator,
    ImageCritic,
    LatentCritic,
    initialise_by_inputs,
)


def count(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def test_parameters_and_sizes_are_those_of_the_published_encoder() -> None:
    encoder = Encoder()
    assert (count(encoder.convolutions), count(encoder.latent)) == (4_306_560, 921_650)
    images = torch.rand(2, 3, 96, 96) * 2 - 1
    with torch.no_grad():
        features, latent = encoder.features(images), encoder(images)
    assert features.shape == (2, 512, 6, 6)
    assert features[0].numel() == 18_432
    assert latent.shape == (2, 50)
    assert latent.abs().max() < 1


def test_generator_and_critics_fit_together() -> None:
    latent, affect = torch.rand(2, 50), torch.tensor([[0.5, -0.5], [0.0, 1.0]])
    images = Generator(width=0.125)(latent, affect)
    assert images.shape == (2, 3, 96, 96)
    assert images.abs().max() <= 1
    assert ImageCritic(width=0.25)(images, affect).shape == (2,)
    assert LatentCritic(1)(latent).shape == (2, 1)
    assert LatentCritic(2)(latent).shape == (2, 2)


def test_generator_and_critic_are_told_the_affect() -> None:
    torch.manual_seed(0)
    latent, images = torch.rand(3, 50), torch.rand(3, 3, 96, 96)
    calm, excited = torch.zeros(3, 2), torch.ones(3, 2)
    generator, critic = Generator(width=0.125).eval(), ImageCritic(width=0.25).eval()
    assert (generator(latent, calm) - generator(latent, excited)).abs().max() > 0
    assert (critic(images, calm) - critic(images, excited)).abs().max() > 0


def test_padding_is_that_of_same_with_stride_2() -> None:
    """The odd pixel of padding lies to the right and below: unit 0 sees pixels -1 to 3."""
    first = Encoder(width=0.02).convolutions[:2]
    with torch.no_grad():
        first[1].weight.fill_(1)
        first[1].bias.zero_()
        image = torch.zeros(1, 3, 96, 96)
        image[0, 0, 3, 3] = 1
        response = first(image)[0, 0]
    assert response.shape == (48, 48)
    assert response.nonzero().tolist() == [[0, 0], [0, 1], [0, 2], [1, 0], [1, 1], [1, 2],
                                           [2, 0], [2, 1], [2, 2]]  # fmt: skip
    image[0, 0, 3, 3], image[0, 0, 4, 4] = 0, 1
    with torch.no_grad():
        assert first(image)[0, 0].nonzero().tolist() == [[1, 1], [1, 2], [2, 1], [2, 2]]


def test_activity_keeps_its_size_by_inputs_and_fades_as_published() -> None:
    torch.manual_seed(0)
    net, images = Encoder(width=0.25), torch.randn(4, 3, 96, 96)
    with torch.no_grad():
        faded = net.features(images).square().mean().sqrt()
        initialise_by_inputs(net)
        kept = net.features(images).square().mean().sqrt()
        generator = Generator(width=0.25)
        initialise_by_inputs(generator)
        made = generator(2 * torch.rand(8, 50) - 1, torch.zeros(8, 2))
    assert faded < 0.05
    assert 0.5 < kept < 2
    assert made.std(0).mean() > 0.1  # images that differ where their vectors do
