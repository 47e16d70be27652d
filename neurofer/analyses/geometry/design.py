"""What a recording shows of identities and expressions, and which presentations make a pattern."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from neurofer.analyses.inputs import (
    Responses,
    joined,
    sorted_expressions,
    sorted_heads,
    strength_name,
)
from neurofer.errors import NeuroferError


@dataclass(frozen=True)
class Design:
    """What a recording shows, in the order of its presentations.

    Attributes:
        identities: head and name of each identity, sorted by head.
        head: (identities,) index of the head of each.
        heads, expressions: names; of the expressions that every identity shows.
        cells: (identities * expressions, n) weights that average presentations.
        cluster: (n,) index of the identity of each presentation.
    """

    identities: list[str]
    head: np.ndarray
    heads: list[str]
    expressions: list[str]
    cells: np.ndarray
    cluster: np.ndarray

    def of_cells(self, gram: np.ndarray) -> np.ndarray:
        """Return (identities, expressions, identities, expressions) inner products."""
        shape = (len(self.identities), len(self.expressions))
        return (self.cells @ gram @ self.cells.T).reshape(*shape, *shape)


def read_design(responses: Responses) -> Design:
    """Return what a site shows; the columns of `cells` follow its presentations.

    Raises:
        NeuroferError: identities share fewer than two expressions.
    """
    heads = sorted_heads(responses.column("head"))
    identity = responses.identity
    identities = [
        name
        for head in heads
        for name in np.unique(identity[responses.column("head") == head]).tolist()
    ]
    place = {name: k for k, name in enumerate(identities)}
    cluster = np.array([place[name] for name in identity])
    first = [int(np.argmax(cluster == k)) for k in range(len(identities))]
    head = np.array([heads.index(str(responses.column("head")[row])) for row in first])
    shown = responses.column("expression")
    level = np.array([strength_name(s) for s in responses.column("strength").astype(float)])
    key = joined(shown, level)
    own = [set(key[cluster == k].tolist()) for k in range(len(identities))]
    shared = [key == name for name in set.intersection(*own)]
    strongest: dict[str, np.ndarray] = {}
    for rows in sorted(shared, key=lambda rows: float(level[np.argmax(rows)])):
        strongest[str(shown[np.argmax(rows)])] = rows
    if len(strongest) < 2:
        poorest = int(np.argmin([len(set(shown[cluster == k].tolist())) for k in place.values()]))
        kinds = sorted_expressions(shown[cluster == poorest])
        raise NeuroferError(
            f"the {len(identities)} identities share {len(strongest)} expressions at the same "
            f"strength, and geometry needs at least 2; {identities[poorest]!r} shows "
            f"{', '.join(kinds)}: leave such identities out with recording.sel or record more"
        )
    expressions = sorted_expressions(strongest)
    cells = np.stack([strongest[e] & (cluster == k) for k in place.values() for e in expressions])
    return Design(
        identities, head, heads, expressions, cells / cells.sum(axis=1, keepdims=True), cluster
    )
