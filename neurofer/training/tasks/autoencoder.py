"""The task of the Prior-Knowledge encoder: an adversarial autoencoder, trained turn by turn.

Barros, Parisi and Wermter 2019. In every step the critics learn to tell prior from latent vectors
and photographs from generated images, and then encoder and generator learn to reconstruct and to
deceive them. CIAO's encoder saw no affect, so by default nothing is told or learned of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from pydantic import Field
from torch import nn
from torch.nn import functional

from neurofer.errors import NeuroferError
from neurofer.schema import Strict
from neurofer.stimuli import StimulusSet
from neurofer.subjects.networks.architectures import scale_pixels
from neurofer.subjects.networks.prior_knowledge import (
    LATENT,
    SIZE,
    Encoder,
    Generator,
    ImageCritic,
    LatentCritic,
    initialise_by_inputs,
)
from neurofer.subjects.trunk import load_trunk
from neurofer.subjects.weight_files.tensors import save_tensors
from neurofer.training.augmentation import ImageAugmentation, augment_images
from neurofer.training.batches import batch_positions
from neurofer.training.images import ImageData, Sources, divide
from neurofer.training.recipe import Recipe
from neurofer.training.world import World, channels_last, sent

PERCEPTUAL_LAYERS = ("conv1_2", "conv2_2", "conv3_2", "conv4_2", "conv5_2")


class Weights(Strict):
    """How much each part of the loss of encoder and generator counts.

    The identity part compares the layers of a trunk (`perceptual`) on image and reconstruction;
    the original's trunk is VGG-Face, which cannot be shipped. Affect counts where it is known.
    """

    reconstruction: float = 1.0
    identity: float = Field(default=0.0, ge=0)
    latent: float = Field(default=0.01, ge=0)
    image: float = Field(default=0.01, ge=0)
    affect: float = Field(default=0.0, ge=0)


class TaskRecipe(Recipe):
    """A recipe of the task `autoencoder`.

    Attributes:
        data: images of 96 x 96.
        width: scales the channels of all networks.
        initial: the weights that encoder and generator start from, as published (a normal
            distribution of 0.02) or by the number of inputs (He et al. 2015).
        store_generator: whether the weight file holds the generator beside the encoder.
        weights: of the parts of the loss.
        perceptual: the trunk of the identity part, such as "vgg16-bsds".
    """

    task: Literal["autoencoder"]
    compile: Literal[False] = False
    data: ImageData
    width: float = Field(default=1.0, gt=0)
    initial: Literal["published", "by-inputs"] = "published"
    store_generator: bool = True
    weights: Weights = Weights()
    perceptual: str = "vgg16-bsds"
    augmentation: ImageAugmentation | None = None


class AdversarialAutoencoder(nn.Module):
    """Encoder, generator and three critics: of images, of latent vectors, of affect."""

    def __init__(self, *, width: float = 1.0) -> None:
        super().__init__()
        self.encoder = Encoder(width=width)
        self.generator = Generator(width=width)
        self.image_critic = ImageCritic(width=width)
        self.latent_critic = LatentCritic(1)
        self.affect_critic = LatentCritic(2)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the reconstruction, told a neutral affect."""
        latent = self.encoder(images)
        reconstruction: torch.Tensor = self.generator(latent, images.new_zeros(len(images), 2))
        return reconstruction


class Task:
    """Images of a recipe, and what the loop does with them."""

    def __init__(self, recipe: TaskRecipe, world: World, *, quiet: bool = False) -> None:
        if recipe.data.size != SIZE:
            raise NeuroferError(f"data.size={recipe.data.size}; the encoder sees {SIZE} pixels")
        self.recipe, self.world = recipe, world
        self.division = divide(
            recipe.data, recipe.seed, validate=bool(recipe.evaluate_every), quiet=quiet
        )
        self._sources = Sources(world.device)
        self.images = self._sources.of(self.division.train, SIZE)
        self.affect = self._affect().to(world.device)
        weights = recipe.weights
        self.trunk = load_trunk(recipe.perceptual).to(world.device) if weights.identity else None

    def _affect(self) -> torch.Tensor:
        """Return valence and arousal, (n, 2), 0 where nothing is told."""
        if not self.recipe.weights.affect:
            return torch.zeros(len(self.division.train), 2)
        table = self.division.train.table
        if not {"valence", "arousal"} <= set(table.columns):
            raise NeuroferError(
                f"weights.affect={self.recipe.weights.affect} needs the columns valence and "
                f"arousal, which {self.recipe.data.named} lacks; set it to 0"
            )
        return torch.from_numpy(table[["valence", "arousal"]].to_numpy(np.float32))

    def data(self) -> dict[str, Any]:
        """Describe the data."""
        return self.division.describe()

    def net(self) -> nn.Module:
        """Return a new autoencoder with its critics."""
        net = AdversarialAutoencoder(width=self.recipe.width)
        if self.recipe.initial == "by-inputs":
            initialise_by_inputs(net.encoder)
            initialise_by_inputs(net.generator)
        return channels_last(net)

    def learners(self, net: nn.Module) -> dict[str, list[nn.Parameter]]:
        """Return the parameters of the critics, and those of encoder and generator."""
        assert isinstance(net, AdversarialAutoencoder)
        makers = [*net.encoder.parameters(), *net.generator.parameters()]
        if self.recipe.weights.affect:
            makers += net.affect_critic.parameters()  # it reads, and helps the encoder
        return {
            "critics": [*net.image_critic.parameters(), *net.latent_critic.parameters()],
            "autoencoder": makers,
        }

    def positions(self, step: int) -> np.ndarray:
        """Return which training images a step's batch holds."""
        recipe = self.recipe
        return batch_positions(len(self.images), recipe.batch_size, recipe.seed, step)

    def losses(self, net: nn.Module, step: int) -> Iterator[tuple[str, torch.Tensor]]:
        """Yield the loss of the critics and, after their step, that of encoder and generator."""
        assert isinstance(net, AdversarialAutoencoder)
        recipe, device = self.recipe, self.world.device
        positions = self.positions(step)
        part, count = self.world.share(len(positions)), len(positions)
        random = np.random.default_rng((recipe.seed, 1, step))
        images = self.images.batch(positions[part])
        self.images.prefetch(self.positions(step + 1)[part])
        if recipe.augmentation is not None:
            images = augment_images(images, recipe.augmentation, random, part, count)
        images = scale_pixels(images)
        affect = self.affect[sent(positions[part], device)]
        prior = random.uniform(-1, 1, (count, LATENT)).astype(np.float32)
        latent = net.encoder(images)
        generated = net.generator(latent, affect)
        yield "critics", self._critics(net, images, affect, latent, generated, prior[part])
        yield "autoencoder", self._autoencoder(net, images, affect, latent, generated)

    def _critics(
        self,
        net: AdversarialAutoencoder,
        images: torch.Tensor,
        affect: torch.Tensor,
        latent: torch.Tensor,
        generated: torch.Tensor,
        prior: np.ndarray,
    ) -> torch.Tensor:
        """Return the loss of telling true from made, of images and of latent vectors."""
        drawn = sent(prior, images.device)
        true = [net.image_critic(images, affect), net.latent_critic(drawn)[:, 0]]
        made = [
            net.image_critic(generated.detach(), affect),
            net.latent_critic(latent.detach())[:, 0],
        ]
        losses = [judged(logits, True) for logits in true]
        losses += [judged(logits, False) for logits in made]
        return torch.stack(losses).sum() / 2

    def _autoencoder(
        self,
        net: AdversarialAutoencoder,
        images: torch.Tensor,
        affect: torch.Tensor,
        latent: torch.Tensor,
        generated: torch.Tensor,
    ) -> torch.Tensor:
        """Return the loss of reconstructing, keeping the identity and deceiving the critics."""
        weights = self.recipe.weights
        loss = weights.reconstruction * functional.l1_loss(generated.float(), images)
        loss = loss + weights.image * judged(net.image_critic(generated, affect), True)
        loss = loss + weights.latent * judged(net.latent_critic(latent)[:, 0], True)
        if weights.affect:
            read = net.affect_critic(latent).float()
            loss = loss + weights.affect * functional.mse_loss(read, affect)
        if self.trunk is not None:
            loss = loss + weights.identity * self._perceptual(images, generated)
        return loss

    def _perceptual(self, images: torch.Tensor, generated: torch.Tensor) -> torch.Tensor:
        """Return the mean absolute difference of five layers, each divided by its squared side."""
        assert self.trunk is not None
        shown = [
            functional.interpolate((x.float() + 1) * 127.5, size=224, mode="bilinear")
            for x in (images, generated)
        ]
        one, two = (self.trunk.layer_activity(x, PERCEPTUAL_LAYERS) for x in shown)
        parts = [
            (one[layer] - two[layer]).abs().mean() / one[layer].shape[-1] ** 2
            for layer in PERCEPTUAL_LAYERS
        ]
        return torch.stack(parts).sum()

    def validate(self, net: nn.Module) -> float:
        """Return minus the reconstruction error of images to validate on."""
        return -self._error(net, self.division.validated)

    def evaluate(self, net: nn.Module) -> dict[str, float]:
        """Return the mean absolute error of held-out images, in parts of the range of pixels."""
        error = round(self._error(net, self.division.test), 4)
        return self.division.named({"reconstruction_error": error})

    def _error(self, net: nn.Module, stimuli: StimulusSet) -> float:
        source = self._sources.of(stimuli, SIZE)
        total = torch.zeros((), dtype=torch.float64, device=self.world.device)
        with torch.inference_mode():
            for part in source.batches():
                images = scale_pixels(part)
                total += (net(images) - images).abs().mean((1, 2, 3)).double().sum() / 2
        return total.item() / len(source)

    def save(self, net: nn.Module, path: Path, about: dict[str, Any]) -> None:
        """Write the encoder, and the generator where it is wanted, in half precision.

        The critics have done their work.

        Args:
            net: that was trained.
            path: of the weight file.
            about: what the file says of itself.
        """
        stored = ("encoder.", "generator.") if self.recipe.store_generator else ("encoder.",)
        tensors = {
            key: value.half() for key, value in net.state_dict().items() if key.startswith(stored)
        }
        network = {"name": "prior-knowledge", "options": {"width": self.recipe.width}, "size": SIZE}
        save_tensors(path, tensors, {**about, "network": network})


def judged(logits: torch.Tensor, true: bool) -> torch.Tensor:
    """Return the cross-entropy of judging all to be true, or all to be made."""
    logits = logits.float()
    wanted = torch.ones_like(logits) if true else torch.zeros_like(logits)
    return functional.binary_cross_entropy_with_logits(logits, wanted)
