"""The task of the Siamese network: do two images show one person?"""

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
from neurofer.stimuli import StimulusSet
from neurofer.subjects.networks.architectures import scale_pixels
from neurofer.subjects.networks.siamese import SIZE, SiameseNet
from neurofer.subjects.weight_files.tensors import save_tensors
from neurofer.training.augmentation import ImageAugmentation, augment_images
from neurofer.training.images import ImageData, Sources, divide
from neurofer.training.recipe import Recipe
from neurofer.training.tasks.verification import pair_auc
from neurofer.training.world import World, channels_last, sent

_TESTED_PAIRS = 2000


class TaskRecipe(Recipe):
    """A recipe of the task `verification`; a batch holds `batch_size` pairs, half of one person.

    Attributes:
        data: images of 105 x 105; identities are held out.
        width: scales the channels of the convolutions.
        embedding: units of the fully connected layer.
    """

    task: Literal["verification"]
    compile: Literal[False] = False
    data: ImageData
    width: float = Field(default=1.0, gt=0)
    embedding: int = Field(default=4096, gt=0)
    augmentation: ImageAugmentation | None = ImageAugmentation()


class Task:
    """Pairs of images of a recipe, and what the loop does with them."""

    def __init__(self, recipe: TaskRecipe, world: World, *, quiet: bool = False) -> None:
        if recipe.data.size != SIZE or recipe.data.held_out != "identities":
            raise NeuroferError(
                f"data.size={recipe.data.size}, data.held_out={recipe.data.held_out!r}: the "
                f"Siamese network sees {SIZE} pixels and is tested on other identities"
            )
        if recipe.batch_size % 2:
            raise NeuroferError(f"batch_size={recipe.batch_size}; give an even number of pairs")
        self.recipe, self.world = recipe, world
        self.division = divide(
            recipe.data, recipe.seed, validate=bool(recipe.evaluate_every), quiet=quiet
        )
        self.people = _people(self.division.train)
        for stimuli in (self.division.test, self.division.validated):
            draw_pairs(_people(stimuli), 1, np.random.default_rng(0))  # too few people: said now
        self._sources = Sources(world.device, gray=True)
        self.images = self._sources.of(self.division.train, SIZE)

    def data(self) -> dict[str, Any]:
        """Describe the data."""
        return self.division.describe()

    def net(self) -> nn.Module:
        """Return a new Siamese network."""
        return channels_last(SiameseNet(width=self.recipe.width, embedding=self.recipe.embedding))

    def learners(self, net: nn.Module) -> dict[str, list[nn.Parameter]]:
        """Return all parameters: one optimiser."""
        return {"net": list(net.parameters())}

    def _pairs(self, step: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.random.Generator]:
        """Return the pairs of a step, as `draw_pairs`, and the generator after them."""
        random = np.random.default_rng((self.recipe.seed, 1, step))
        return *draw_pairs(self.people, self.recipe.batch_size, random), random

    def positions(self, step: int) -> np.ndarray:
        """Return which training images a step's pairs hold, first and second sides."""
        return np.concatenate(self._pairs(step)[:2])

    def losses(self, net: nn.Module, step: int) -> Iterator[tuple[str, torch.Tensor]]:
        """Yield the cross-entropy of this process's share of a step's pairs."""
        recipe, count = self.recipe, self.recipe.batch_size
        first, second, same, random = self._pairs(step)
        part = self.world.share(count)
        sides = []
        self.images.prefetch(np.concatenate([side[part] for side in self._pairs(step + 1)[:2]]))
        for positions in (first, second):
            images = self.images.batch(positions[part])
            if recipe.augmentation is not None:
                images = augment_images(images, recipe.augmentation, random, part, count)
            sides.append(scale_pixels(images))
        told = sent(same[part].astype(np.float32), self.world.device)
        logits = net(*sides).float()
        with torch.autocast(self.world.device.type, enabled=False):
            yield "net", functional.binary_cross_entropy_with_logits(logits, told)

    def validate(self, net: nn.Module) -> float:
        """Return the area under the ROC curve on identities to validate on."""
        return self._scores(net, self.division.validated)["verification_auc"]

    def evaluate(self, net: nn.Module) -> dict[str, float]:
        """Return AUC and accuracy in percent on pairs of held-out people, half of them alike."""
        scores = self._scores(net, self.division.test)
        return self.division.named(
            {
                "verification_auc": round(scores["verification_auc"], 4),
                "accuracy": round(scores["accuracy"], 2),
            }
        )

    def _scores(self, net: nn.Module, stimuli: StimulusSet) -> dict[str, float]:
        assert isinstance(net, SiameseNet)
        random, device = np.random.default_rng((self.recipe.seed, 3)), self.world.device
        first, second, same = draw_pairs(_people(stimuli), _TESTED_PAIRS, random)
        source = self._sources.of(stimuli, SIZE)
        with torch.inference_mode():
            embedded = torch.cat([net.embed(scale_pixels(part)) for part in source.batches()])
            difference = (embedded[sent(first, device)] - embedded[sent(second, device)]).abs()
            logits = net.compare(difference)[:, 0].float().cpu().numpy()
        accuracy = 100 * float(((logits > 0) == same).mean())
        return {"verification_auc": pair_auc(logits, same), "accuracy": accuracy}

    def save(self, net: nn.Module, path: Path, about: dict[str, Any]) -> None:
        """Write the weights in half precision.

        Args:
            net: that was trained.
            path: of the weight file.
            about: what the file says of itself.
        """
        network = {
            "name": "siamese",
            "options": {"width": self.recipe.width, "embedding": self.recipe.embedding},
            "size": SIZE,
        }
        tensors = {key: value.half() for key, value in net.state_dict().items()}
        save_tensors(path, tensors, {**about, "network": network})


def draw_pairs(
    people: list[np.ndarray], count: int, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw pairs of images, the even ones of one person, the odd ones of two.

    Args:
        people: the positions of everyone's images.
        count: how many pairs.
        random: where the random numbers come from.

    Returns:
        first and second position, (count,) int64, and whether they show one person, (count,) bool.

    Raises:
        NeuroferError: there are fewer than two people, or one has fewer than two images.
    """
    if len(people) < 2 or min(map(len, people)) < 2:
        raise NeuroferError("pairs need two people or more, with two images or more each")
    first, second = np.empty((2, count), np.int64)
    same = np.arange(count) % 2 == 0
    for pair in range(count):
        who, other = random.choice(len(people), 2, replace=False)
        if same[pair]:
            first[pair], second[pair] = random.choice(people[who], 2, replace=False)
        else:
            first[pair], second[pair] = random.choice(people[who]), random.choice(people[other])
    return first, second, same


def _people(stimuli: StimulusSet) -> list[np.ndarray]:
    table = stimuli.table
    groups = table.groupby(["head", "identity"], sort=True).indices
    return [np.asarray(rows) for rows in groups.values() if len(rows) > 1]
