"""What a network learns to say of an image: a category, a distribution, affect, several labels.

Each kind of target turns stimuli into numbers, outputs into a loss, and outputs into scores.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Annotated, Literal

import numpy as np
import pandas as pd
import torch
from pydantic import Field
from torch.nn import functional

from neurofer.errors import NeuroferError, unknown_choice
from neurofer.schema import Strict
from neurofer.stimuli.stimulus_set import in_order


class Target(Strict):
    """What every kind of target does."""

    @abstractmethod
    def names(self, table: pd.DataFrame) -> tuple[str, ...]:
        """Return the names of the outputs, from the stimuli that are trained on."""

    @abstractmethod
    def values(self, table: pd.DataFrame, names: tuple[str, ...]) -> torch.Tensor:
        """Return the targets of stimuli, one row per stimulus.

        Raises:
            NeuroferError: a label is not among the names, or a column is missing.
        """

    def weights(self, values: torch.Tensor, count: int) -> torch.Tensor | None:
        """Return the weight of each of `count` outputs, from the targets; None: all alike."""
        return None

    @abstractmethod
    def loss(
        self, outputs: torch.Tensor, values: torch.Tensor, weights: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Return the mean loss of outputs (n, k) against targets.

        Args:
            outputs: (n, k) of the network.
            values: targets.
            weights: of the classes, or None.
        """

    @abstractmethod
    def scores(self, outputs: torch.Tensor, values: torch.Tensor) -> dict[str, float]:
        """Return scores of outputs (n, k) against targets, the main one first; higher is better."""

    def pooled(
        self, outputs: torch.Tensor, values: torch.Tensor, table: pd.DataFrame
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return outputs (n, k) and targets of what is scored: here, of every image by itself.

        Args:
            outputs: of the network.
            values: the targets.
            table: of the stimuli.
        """
        return outputs, values

    def classes(self, values: torch.Tensor) -> torch.Tensor:
        """Return a whole number per stimulus, equal where a contrastive loss sees them as alike."""
        return values.long()


class Category(Target):
    """One label an image: cross-entropy, accuracy in percent.

    `balanced` weighs a label by the inverse of how often it occurs; `smoothing` is the part of a
    target that is shared out over all labels.
    """

    kind: Literal["category"]
    column: str = "expression"
    balanced: bool = False
    smoothing: float = Field(default=0.0, ge=0, lt=1)

    def names(self, table: pd.DataFrame) -> tuple[str, ...]:
        """Return the labels that occur; identities with their head."""
        labels = self._labels(table)
        return tuple(in_order(self.column, sorted(set(labels))))

    def values(self, table: pd.DataFrame, names: tuple[str, ...]) -> torch.Tensor:
        """Return the number of each label, (n,) int64."""
        place = {name: number for number, name in enumerate(names)}
        labels = self._labels(table)
        for number, label in enumerate(labels):
            if label not in place:
                stimulus = table["stimulus_id"].iloc[number]
                where = f"the labels that are trained on (stimulus {stimulus!r})"
                raise unknown_choice(self.column, label, names, where)
        return torch.tensor([place[label] for label in labels])

    def weights(self, values: torch.Tensor, count: int) -> torch.Tensor | None:
        """Return n / (k n_k) for label k, if `balanced`; their mean over the images is 1."""
        if not self.balanced:
            return None
        occurs = torch.bincount(values, minlength=count).float()
        return len(values) / (count * occurs.clamp(min=1))

    def loss(
        self, outputs: torch.Tensor, values: torch.Tensor, weights: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Return the mean cross-entropy.

        Args:
            outputs: (n, k) scores.
            values: (n,) numbers of classes.
            weights: (k,) of the classes, or None.
        """
        # The weighted mean over this share would weigh an image by its company: divide by n.
        losses = functional.cross_entropy(
            outputs, values, weights, label_smoothing=self.smoothing, reduction="none"
        )
        return losses.mean()

    def scores(self, outputs: torch.Tensor, values: torch.Tensor) -> dict[str, float]:
        """Return the accuracy in percent."""
        right = (outputs.argmax(1) == values).double().mean()
        return {"accuracy": 100 * right.item()}

    def _labels(self, table: pd.DataFrame) -> list[str]:
        if self.column not in table:
            raise unknown_choice("column", self.column, table.columns, "the stimuli")
        labels = [str(label) for label in table[self.column]]
        if self.column != "identity":
            return labels
        return [f"{head}/{label}" for head, label in zip(table["head"], labels, strict=True)]


class Distribution(Target):
    """How often observers gave each label: cross-entropy with their distribution.

    The columns `votes_<label>` hold counts or shares; a row is divided by its sum.
    """

    kind: Literal["distribution"]
    columns: tuple[str, ...] = ()

    def names(self, table: pd.DataFrame) -> tuple[str, ...]:
        """Return the columns of votes."""
        found = self.columns or tuple(c for c in table.columns if str(c).startswith("votes_"))
        if len(found) < 2:
            raise NeuroferError("the stimuli have no two columns votes_<label>; name `columns`")
        return found

    def values(self, table: pd.DataFrame, names: tuple[str, ...]) -> torch.Tensor:
        """Return the shares, (n, k) float32."""
        votes = _columns(table, names)
        total = votes.sum(1, keepdim=True)
        if not (total > 0).all():
            row = table["stimulus_id"].iloc[int((total <= 0).nonzero()[0, 0])]
            raise NeuroferError(f"stimulus {row!r} has no votes; drop it")
        return votes / total

    def loss(
        self, outputs: torch.Tensor, values: torch.Tensor, weights: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Return the mean cross-entropy with the distribution.

        Args:
            outputs: (n, k) scores.
            values: (n, k) parts of the votes.
            weights: without effect.
        """
        return functional.cross_entropy(outputs, values)

    def scores(self, outputs: torch.Tensor, values: torch.Tensor) -> dict[str, float]:
        """Return how often the most frequent label is hit, and minus the divergence in nats."""
        right = (outputs.argmax(1) == values.argmax(1)).double().mean()
        divergence = functional.kl_div(
            outputs.log_softmax(1), values, reduction="batchmean", log_target=False
        )
        return {"accuracy": 100 * right.item(), "minus_divergence": -divergence.item()}

    def classes(self, values: torch.Tensor) -> torch.Tensor:
        """Return the most frequent label."""
        return values.argmax(1)


class Affect(Target):
    """Valence and arousal in [-1, 1]: squared error, or one minus the concordance correlation.

    The outputs go through tanh. For a contrastive loss each axis is divided into `bins`.
    """

    kind: Literal["affect"]
    error: Literal["mse", "ccc"] = "mse"
    bins: int = Field(default=3, ge=2)

    def names(self, table: pd.DataFrame) -> tuple[str, ...]:
        """Return the two axes."""
        return ("valence", "arousal")

    def values(self, table: pd.DataFrame, names: tuple[str, ...]) -> torch.Tensor:
        """Return valence and arousal, (n, 2) float32."""
        values = _columns(table, names)
        if not (values.abs() <= 1).all():
            row = table["stimulus_id"].iloc[int((~(values.abs() <= 1)).any(1).nonzero()[0, 0])]
            raise NeuroferError(
                f"stimulus {row!r} has valence or arousal outside -1 to 1 or unknown; drop it"
            )
        return values

    def loss(
        self, outputs: torch.Tensor, values: torch.Tensor, weights: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Return the mean squared error, or 1 - CCC averaged over the axes.

        Args:
            outputs: (n, k) values.
            values: (n, k) targets.
            weights: without effect.
        """
        answers = outputs.tanh()
        if self.error == "mse":
            return functional.mse_loss(answers, values)
        return 1 - concordance(answers, values).mean()

    def scores(self, outputs: torch.Tensor, values: torch.Tensor) -> dict[str, float]:
        """Return the concordance correlation of each axis and their mean."""
        valence, arousal = concordance(outputs.tanh(), values).tolist()
        return {"ccc": (valence + arousal) / 2, "ccc_valence": valence, "ccc_arousal": arousal}

    def classes(self, values: torch.Tensor) -> torch.Tensor:
        """Return the number of the bin of both axes."""
        place = ((values + 1) / 2 * self.bins).long().clamp(max=self.bins - 1)
        return place[:, 0] * self.bins + place[:, 1]


class Labels(Target):
    """Several labels an image, each there or not: binary cross-entropy, mean F1 in percent.

    Where images are frames, `clips` names the column that says of which clip ("session"): the
    probabilities of a clip's frames are averaged, and F1 is over clips.
    """

    kind: Literal["labels"]
    columns: tuple[str, ...] = ()
    clips: str = ""

    def names(self, table: pd.DataFrame) -> tuple[str, ...]:
        """Return the columns of labels."""
        found = self.columns or tuple(c for c in table.columns if str(c).startswith("label_"))
        if not found:
            raise NeuroferError("the stimuli have no column label_<name>; name `columns`")
        return found

    def values(self, table: pd.DataFrame, names: tuple[str, ...]) -> torch.Tensor:
        """Return 0 or 1 a label, (n, k) float32."""
        return _columns(table, names)

    def loss(
        self, outputs: torch.Tensor, values: torch.Tensor, weights: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Return the mean binary cross-entropy.

        Args:
            outputs: (n, k) scores.
            values: (n, k) of 0 and 1.
            weights: without effect.
        """
        return functional.binary_cross_entropy_with_logits(outputs, values)

    def pooled(
        self, outputs: torch.Tensor, values: torch.Tensor, table: pd.DataFrame
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return outputs and targets of every clip, (clips, k); of every image where none is named.

        Args:
            outputs: (n, k) of every image.
            values: (n, k) targets.
            table: n rows, with the column of clips.

        Raises:
            NeuroferError: there is no such column, or the frames of a clip have different labels.
        """
        if not self.clips:
            return outputs, values
        if self.clips not in table:
            raise unknown_choice("clips", self.clips, table.columns, "the stimuli")
        names, place = np.unique(table[self.clips].to_numpy(str), return_inverse=True)
        clip = torch.from_numpy(place.reshape(-1))
        count = torch.bincount(clip, minlength=len(names)).double()[:, None]

        def mean(frames: torch.Tensor) -> torch.Tensor:
            total = torch.zeros(len(names), frames.shape[1], dtype=torch.float64)
            return total.index_add_(0, clip, frames.double()) / count

        labels = mean(values)
        mixed = ((labels > 0) & (labels < 1)).any(1)
        if mixed.any():
            name = names[int(mixed.nonzero()[0, 0])]
            raise NeuroferError(
                f"the frames of {self.clips} {name!r} have different labels; leave `clips` out"
            )
        return torch.logit(mean(outputs.sigmoid())), labels

    def scores(self, outputs: torch.Tensor, values: torch.Tensor) -> dict[str, float]:
        """Return the mean F1 over the labels in percent; a label that never occurs is left out."""
        said, true = outputs > 0, values > 0.5
        hits = (said & true).sum(0).double()
        f1 = 2 * hits / (said.sum(0) + true.sum(0)).clamp(min=1)
        return {"f1": 100 * f1[true.any(0)].mean().item()}

    def classes(self, values: torch.Tensor) -> torch.Tensor:
        """Return a number for each set of labels: alike are images with exactly the same."""
        # The first row that is the same; torch.unique would wait for the device.
        same = (values[:, None] == values[None]).all(2)
        return same.to(torch.uint8).argmax(1)


AnyTarget = Annotated[Category | Distribution | Affect | Labels, Field(discriminator="kind")]


def concordance(answers: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    """Return the concordance correlation coefficient of each column, (k,).

    2 cov / (var + var + (mean - mean)^2); Lin 1989.
    """
    mean_a, mean_v = answers.mean(0), values.mean(0)
    covariance = ((answers - mean_a) * (values - mean_v)).mean(0)
    variance_a, variance_v = (answers - mean_a).square().mean(0), (values - mean_v).square().mean(0)
    return 2 * covariance / (variance_a + variance_v + (mean_a - mean_v).square()).clamp(min=1e-12)


def _columns(table: pd.DataFrame, names: tuple[str, ...]) -> torch.Tensor:
    """Return columns as numbers, (n, k) float32; those that are not finite name their stimulus."""
    for name in names:
        if name not in table:
            raise unknown_choice("column", name, table.columns, "the stimuli")
        values = pd.to_numeric(table[name], errors="coerce").to_numpy(dtype=np.float64)
        bad = np.flatnonzero(~np.isfinite(values))
        if len(bad):
            stimulus, value = table["stimulus_id"].iloc[bad[0]], table[name].iloc[bad[0]]
            raise NeuroferError(
                f"{name} of stimulus {stimulus!r} is {value}, not a finite number "
                f"({len(bad)} stimuli have none); drop them"
            )
    return torch.from_numpy(table[list(names)].to_numpy(dtype=np.float32))
