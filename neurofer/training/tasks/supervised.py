"""The task of learning to say something of an image, with CIAO's contrastive loss where wanted."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from pydantic import Field, model_validator
from torch import nn

from neurofer.errors import NeuroferError
from neurofer.files import sha256_file
from neurofer.schema import Strict
from neurofer.stimuli import StimulusSet, held_out
from neurofer.subjects.hooks import activity
from neurofer.subjects.networks.architectures import (
    ARCHITECTURES,
    check_network,
    make_network,
    scale_pixels,
)
from neurofer.subjects.networks.ciao import contrastive_loss
from neurofer.subjects.weight_files.shipped import weight_file
from neurofer.subjects.weight_files.tensors import load_tensors, save_tensors
from neurofer.training.augmentation import ImageAugmentation, augment_images
from neurofer.training.batches import batch_positions
from neurofer.training.images import ImageData, Sources, divide
from neurofer.training.recipe import Recipe
from neurofer.training.tasks.normalisation import fold, normalise
from neurofer.training.tasks.targets import AnyTarget
from neurofer.training.tasks.verification import verification_auc
from neurofer.training.world import World, channels_last, sent, spoils_memory


class Network(Strict):
    """Which network is trained.

    Attributes:
        name: of `neurofer.subjects.networks.architectures.ARCHITECTURES`.
        options: of the architecture, such as `width`.
        start: what to start from, a shipped weight file by its name or the path of one of ours:
            every tensor of the same name and shape is copied.
        normalise: whether batch normalisation stands between what learns and its ReLU in training;
            it is folded into the layers in the weight file. For networks published without it.
    """

    name: str
    options: dict[str, Any] = Field(default_factory=dict)
    start: str = ""
    normalise: bool = False

    @model_validator(mode="after")
    def _known(self) -> Network:
        try:
            check_network(self.name, self.options)
        except NeuroferError as error:
            raise ValueError(str(error)) from None
        return self


class Contrast(Strict):
    """CIAO's contrastive loss on the network's features, Eqs. 2 to 4, added to the target's.

    It is divided by the batch size, as the other losses are, and multiplied by `weight`.
    """

    temperature: float = Field(default=0.07, gt=0)
    negatives: Literal["other", "all", "literal"] = "other"
    weight: float = Field(default=1.0, gt=0)


class TaskRecipe(Recipe):
    """A recipe of the task `supervised`.

    The contrastive loss reads the features inside the network, so it excludes `compile`.

    Attributes:
        store: the type of the numbers in the weight file.
        data: what is trained on and held out.
        target: what the network learns to say.
        tests: further stimuli that are only tested, by name; those trained on are left out.
        verification: stimuli of identities that the net must not know; its features there are
            compared by their cosine, and the area under the ROC curve is reported.
        probe: stimuli of identities that the net must not know; a linear probe reads their
            expression from every site, fitted to some of them and tested on others.
    """

    task: Literal["supervised"]
    store: Literal["float16", "float32"] = "float16"
    data: ImageData
    target: AnyTarget
    network: Network
    augmentation: ImageAugmentation | None = ImageAugmentation()
    contrast: Contrast | None = None
    tests: dict[str, ImageData] = Field(default_factory=dict)
    verification: ImageData | None = None
    probe: ImageData | None = None

    @model_validator(mode="after")
    def _open(self) -> TaskRecipe:
        if self.contrast is not None and self.compile:
            raise ValueError("contrast reads the features inside the network; leave compile out")
        return self


class Task:
    """Training and held-out images of a recipe, and what the loop does with them."""

    def __init__(self, recipe: TaskRecipe, world: World, *, quiet: bool = False) -> None:
        self.recipe, self.world = recipe, world
        start = recipe.network.start
        self.division = divide(
            recipe.data,
            recipe.seed,
            start=start,
            validate=bool(recipe.evaluate_every),
            quiet=quiet,
        )
        self.names = recipe.target.names(self.division.train.table)
        self.targets = self._targets(self.division.train)
        # A label that is not trained on is said now.
        self._targets(self.division.test)
        self._targets(self.division.validated)
        weights = recipe.target.weights(self.targets, len(self.names))
        self.weights = None if weights is None else weights.to(world.device)
        gray = ARCHITECTURES[recipe.network.name].gray
        self._sources = Sources(world.device, gray=gray)
        self.images = self._sources.of(self.division.train, recipe.data.size)
        self._quiet = quiet
        self._last = True  # whether the net is channels last

    def data(self) -> dict[str, Any]:
        """Describe the data: the set's identifier, and how much was learned and held out."""
        more: dict[str, Any] = {
            "held_out": self.recipe.data.held_out,
            "outputs": list(self.names),
        }
        start = self.recipe.network.start
        if start:
            more["start"] = {"weights": start, "sha256": sha256_file(weight_file(start))}
        return {**self.division.describe(), **more}

    def net(self) -> nn.Module:
        """Return the network, new or with the weights that it starts from."""
        stated = self.recipe.network
        net = make_network(stated.name, len(self.names), **stated.options)
        if stated.start:
            start_from(net, weight_file(stated.start))
        if stated.normalise:
            normalise(net)
        self._last = not spoils_memory(net)
        return channels_last(net)

    def learners(self, net: nn.Module) -> dict[str, list[nn.Parameter]]:
        """Return the parameters that learn: one optimiser."""
        return {"net": [parameter for parameter in net.parameters() if parameter.requires_grad]}

    def positions(self, step: int) -> np.ndarray:
        """Return which training images a step's batch holds."""
        recipe = self.recipe
        return batch_positions(len(self.images), recipe.batch_size, recipe.seed, step)

    def losses(self, net: nn.Module, step: int) -> Iterator[tuple[str, torch.Tensor]]:
        """Yield the loss of this process's share of a step's batch."""
        recipe, device = self.recipe, self.world.device
        positions = self.positions(step)
        part = self.world.share(len(positions))
        images = self.images.batch(positions[part])
        self.images.prefetch(self.positions(step + 1)[part])
        if recipe.augmentation is not None:
            random = np.random.default_rng((recipe.seed, 1, step))
            images = augment_images(images, recipe.augmentation, random, part, len(positions))
        targets = sent(self.targets[positions[part]].numpy(), device)
        seen = self._seen(images)
        if self._last:
            seen = seen.contiguous(memory_format=torch.channels_last)
        if recipe.contrast is None:
            outputs, features = net(seen).float(), None
        else:
            outputs, features = self._with_features(net, seen)
        with torch.autocast(device.type, enabled=False):
            loss = recipe.target.loss(outputs, targets, self.weights)
            if features is not None:
                loss = loss + self._contrast(features, targets, len(positions))
        yield "net", loss

    def _with_features(
        self, net: nn.Module, seen: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the outputs and the features of one forward pass."""
        sites = ARCHITECTURES[self.recipe.network.name].features, ""  # "" is the network itself
        features, outputs = activity(net, seen, sites).values()
        return outputs.float(), features.float().flatten(1)

    def _contrast(self, features: torch.Tensor, targets: torch.Tensor, count: int) -> torch.Tensor:
        """Return the contrastive loss, over the features of all processes."""
        stated = self.recipe.contrast
        assert stated is not None
        loss = contrastive_loss(
            self.world.gather(features),
            self.recipe.target.classes(self.world.gather(targets.float())),
            temperature=stated.temperature,
            negatives=stated.negatives,
        )
        return stated.weight * loss / count

    def validate(self, net: nn.Module) -> float:
        """Return the main score on the images to validate on."""
        return next(iter(self._scores(net, self.division.validated, self.recipe.data).values()))

    def evaluate(self, net: nn.Module) -> dict[str, float]:
        """Return the scores on held-out images, by head, and on the further tests."""
        recipe = self.recipe
        scores = self.division.named(self._scores(net, self.division.test, recipe.data))
        for name, data in recipe.tests.items():
            tested = held_out(data.load(quiet=self._quiet), self.division.train)
            found = self._scores(net, tested, data)
            scores.update({f"{name}_{key}": value for key, value in found.items()})
        if recipe.verification is not None:
            scores["verification_auc"] = self._verify(net, recipe.verification)
        if recipe.probe is not None:
            scores.update(self._probe(net, recipe.probe))
        return {key: round(value, 4) for key, value in scores.items()}

    def save(self, net: nn.Module, path: Path, about: dict[str, Any]) -> None:
        """Write the weights, with what is needed to make the network again.

        Args:
            net: that was trained.
            path: of the weight file.
            about: what the file says of itself.
        """
        kind = torch.float16 if self.recipe.store == "float16" else torch.float32
        net = copy.deepcopy(net)
        fold(net)
        tensors = {
            key: value.to(kind) if value.is_floating_point() else value
            for key, value in net.state_dict().items()
        }
        stated = self.recipe.network
        network = {"name": stated.name, "options": stated.options, "size": self.recipe.data.size}
        save_tensors(path, tensors, {**about, "network": network, "outputs": list(self.names)})

    def _seen(self, images: torch.Tensor) -> torch.Tensor:
        seen = scale_pixels(images)
        return seen.double() if self.recipe.precision == "float64" else seen

    def _targets(self, stimuli: StimulusSet) -> torch.Tensor:
        return self.recipe.target.values(stimuli.table, self.names)

    def _outputs(
        self,
        net: nn.Module,
        stimuli: StimulusSet,
        data: ImageData,
        sites: Sequence[str] = (),
    ) -> list[torch.Tensor]:
        """Return what the net says of stimuli, or what its sites do: (n, units) on the host each.

        All sites come from one pass; nothing waits for the device before its end.
        """
        found: list[list[torch.Tensor]] = []
        with torch.inference_mode():
            for images in self._sources.of(stimuli, data.size).batches():
                seen = self._seen(images)
                outputs = activity(net, seen, sites).values() if sites else [net(seen)]
                found.append([output.float().flatten(1) for output in outputs])
            return [torch.cat(parts).cpu() for parts in zip(*found, strict=True)]

    def _scores(self, net: nn.Module, stimuli: StimulusSet, data: ImageData) -> dict[str, float]:
        target, table = self.recipe.target, stimuli.table
        outputs, targets = self._outputs(net, stimuli, data)[0], self._targets(stimuli)
        scores = target.scores(*target.pooled(outputs, targets, table))
        heads = table["head"].to_numpy()
        if len(set(heads)) > 1:
            main = next(iter(scores))
            for head in dict.fromkeys(heads):
                rows = np.flatnonzero(heads == head)
                pooled = target.pooled(outputs[rows], targets[rows], table.iloc[rows])
                scores[f"{main}_{head}"] = target.scores(*pooled)[main]
        return scores

    def _verify(self, net: nn.Module, data: ImageData) -> float:
        stimuli = self._strangers("verification", data)
        site = ARCHITECTURES[self.recipe.network.name].features
        features = self._outputs(net, stimuli, data, [site])[0]
        return verification_auc(features.numpy(), stimuli.table["identity"].to_numpy())

    def _probe(self, net: nn.Module, data: ImageData) -> dict[str, float]:
        """Return the percentage of expressions that is read from every site, of unseen people."""
        from neurofer.analyses.decoding.probe import (
            held_out_answers,  # a bare GPU node has no scipy
        )

        stimuli = self._strangers("probe", data)
        expressions = stimuli.table["expression"].to_numpy(str)
        people = stimuli.table["identity"].to_numpy(str)
        scores, sites = {}, ARCHITECTURES[self.recipe.network.name].sites
        found = self._outputs(net, stimuli, data, sites)
        for site, features in zip(sites, found, strict=True):
            answers, _ = held_out_answers(
                features.numpy(), expressions, people, seed=self.recipe.seed
            )
            scores[f"probe_{site}"] = 100 * float((answers == expressions).mean())
        return scores

    def _strangers(self, what: str, data: ImageData) -> StimulusSet:
        """Return stimuli, none of whose identities was trained on."""
        stimuli = data.load(quiet=self._quiet)
        known = set(self.division.train.table["identity"]) & set(stimuli.table["identity"])
        if known:
            raise NeuroferError(
                f"{what}: {len(known)} identities were trained on; choose stimuli of other people"
            )
        return stimuli


def start_from(net: nn.Module, path: Path) -> int:
    """Copy every tensor of the same name and shape from a weight file of ours into a network.

    An encoder that was trained without CIAO starts both convolutions of the inhibited layer, and
    one that was trained in an autoencoder is found there.

    Returns:
        how many tensors of the network were copied.

    Raises:
        NeuroferError: the file is missing or damaged, or has nothing in common with the network.
    """
    tensors, _ = load_tensors(path)
    own = net.state_dict()
    given = {key.replace("encoder.convolutions.", "encoder."): t for key, t in tensors.items()}
    for key in own:
        before = key.replace(".excitatory.", ".").replace(".inhibitory.", ".")
        if key not in given and before in given:
            given[key] = given[before]
    common = {k: t for k, t in given.items() if k in own and own[k].shape == t.shape}
    if not common:
        raise NeuroferError(
            f"{path} has no tensor in common with {type(net).__name__}: it holds "
            f"{', '.join(list(tensors)[:4])}, ..., and the network {', '.join(list(own)[:4])}, ..."
        )
    net.load_state_dict({**own, **{k: t.to(own[k].dtype) for k, t in common.items()}})
    return len(common)
