"""CIAO: a contrastive inhibitory mask on the last convolution of any encoder.

Barros and Sciutti 2022, "CIAO! A contrastive adaptation mechanism for non-universal facial
expression recognition". The equations are numbered as there.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional

from neurofer.errors import NeuroferError, unknown_choice

NEGATIVES = ("other", "all", "literal")

_INTEGRATION = 0.5  # of the shunting layer that CIAO takes its inspiration from, at the start


class ShuntingInhibition(nn.Module):
    """A convolution whose output is divided by that of an inhibitory twin, Eq. 1.

    M = u / (a + I), where u is the ReLU of the convolution, I that of its twin and a > 0 one
    integration term a channel. The twin starts as a copy, so that M = u / (a + u) at first.

    Args:
        excitatory: the encoder's last convolution; its parameters are shared with the encoder.
        trainable: whether the excitatory convolution learns as well.
    """

    def __init__(self, excitatory: nn.Conv2d, *, trainable: bool = False) -> None:
        super().__init__()
        self.excitatory = excitatory
        self.inhibitory = copy.deepcopy(excitatory)
        self.inhibitory.requires_grad_(True)
        self.excitatory.requires_grad_(trainable)
        # a = softplus(raw) is positive whatever raw becomes; a clamp would stop learning at zero.
        raw = math.log(math.expm1(_INTEGRATION))
        self.raw_integration = nn.Parameter(torch.full((excitatory.out_channels,), raw))

    @property
    def integration(self) -> torch.Tensor:
        """The integration term of every channel, (channels,), above zero."""
        return functional.softplus(self.raw_integration)

    def forward(self, activity: torch.Tensor) -> torch.Tensor:
        """Return the masked activity, (n, channels, H, W), at least 0."""
        excitation = self.excitatory(activity).relu()
        inhibition = self.inhibitory(activity).relu()
        return excitation / (self.integration[:, None, None] + inhibition)


def attach(encoder: nn.Module, *, trainable: bool = False) -> ShuntingInhibition:
    """Replace the last convolution of an encoder by its inhibited version, in place.

    The activation that follows it in the encoder is left: a ReLU after a value that is not
    negative changes nothing.

    Returns:
        the inhibitory layer, now part of the encoder.

    Raises:
        NeuroferError: the encoder has no convolution, or CIAO is attached already.
    """
    name = last_convolution(encoder)
    parent_name, _, child = name.rpartition(".")
    parent = encoder.get_submodule(parent_name)
    if isinstance(parent, ShuntingInhibition):
        raise NeuroferError(f"CIAO is attached to this {type(encoder).__name__} already")
    convolution = encoder.get_submodule(name)
    assert isinstance(convolution, nn.Conv2d)
    layer = ShuntingInhibition(convolution, trainable=trainable)
    setattr(parent, child, layer)
    return layer


def last_convolution(encoder: nn.Module) -> str:
    """Return the name of the convolution that was defined last, or raise a NeuroferError."""
    names = [name for name, module in encoder.named_modules() if isinstance(module, nn.Conv2d)]
    if not names:
        raise NeuroferError(
            f"CIAO needs a convolutional encoder; {type(encoder).__name__} has no Conv2d"
        )
    return names[-1]


def contrastive_loss(
    features: torch.Tensor,
    labels: torch.Tensor | Sequence[int],
    *,
    temperature: float = 0.07,
    negatives: str = "other",
    normalise: bool = True,
) -> torch.Tensor:
    """Return the contrastive loss of a batch, Eqs. 2 to 4.

    With c_ij = exp(z_i . z_j / temperature), P the others of i's label and K those of other labels:

    - "other": sum over i of -1/|P| sum over j in P of log(c_ij / sum over k in K of c_ik), the
      paper's pairs with the usual normalisation;
    - "all": the same with all others in the denominator: Khosla et al. 2020, Eq. 2;
    - "literal": sum over i of -1/(N-1) sum over j in P of log(c_ij / c_ik), averaged over k in K,
      which Eq. 3 leaves open. It is linear in the similarities, so use it with `normalise`.

    An image without a partner of its own label, or (but for "all") of another one, adds nothing.

    Args:
        features: (n, d).
        labels: (n,) integers.
        temperature: above 0.
        negatives: one of `NEGATIVES`.
        normalise: bring every feature vector to length 1 first.

    Raises:
        NeuroferError: an unknown kind of negatives, a temperature that is not positive, or labels
            that are not one per image.
    """
    if negatives not in NEGATIVES:
        raise unknown_choice("negatives", negatives, NEGATIVES)
    if not temperature > 0:
        raise NeuroferError(f"temperature={temperature}; it must be above 0")
    labels = torch.as_tensor(labels, device=features.device)
    if labels.shape != features.shape[:1]:
        raise NeuroferError(
            f"labels have shape {tuple(labels.shape)} for features {tuple(features.shape)}; "
            "give one integer per image"
        )
    if normalise:
        features = functional.normalize(features, dim=1)
    similarity = features @ features.T / temperature
    same = labels[:, None] == labels[None, :]
    if negatives == "literal":
        return _literal(similarity, same)
    itself = torch.eye(len(labels), dtype=torch.bool, device=features.device)
    positive = (same & ~itself).to(similarity.dtype)
    left_out = itself if negatives == "all" else same
    has_other = (~left_out).any(1)
    # A row without another keeps its own, so that no gradient is taken of an empty sum; to choose
    # rows by a mask would wait for the device.
    masked = similarity.masked_fill(left_out & has_other[:, None], -torch.inf)
    log_ratio = (similarity - masked.logsumexp(1)[:, None]) * positive
    loss = -log_ratio.sum(1) / positive.sum(1).clamp(min=1)
    return torch.where(has_other, loss, 0.0).sum()


def _literal(similarity: torch.Tensor, same: torch.Tensor) -> torch.Tensor:
    """Return Eqs. 2 to 4 as they are printed, over all pairs of one label but those of itself."""
    n = len(same)
    others = (~same).to(similarity.dtype)
    positive = same.to(similarity.dtype) - torch.eye(n, dtype=others.dtype, device=others.device)
    mean_other = (similarity * others).sum(1) / others.sum(1).clamp(min=1)
    log_ratio = (similarity - mean_other[:, None]) * (others.sum(1) > 0)[:, None]
    return -(log_ratio * positive).sum() / max(1, n - 1)
