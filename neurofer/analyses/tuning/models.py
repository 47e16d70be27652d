"""Tuning models: f(x) = a + sum_j b_j phi_j(x; theta), linear in a and b, not in theta.

Every model gives its columns phi and their analytic derivatives; the rest of the fit is common.
Widths, exponents and steepnesses are positive: inside, theta holds their logarithms, which also
makes their bounds a box. Equations: Leopold, Bondar & Giese 2006 (Nature 442:572; ramps and V
around the average), Naka & Rushton 1966 (J Physiol 185:536), Chang & Tsao 2017 (Cell 169:1013;
axis and exemplar), Giese & Leopold 2005 (Neurocomputing 65-66:93; norm and direction).

Shapes: `x` (levels,) of a strength or (levels, dimensions) of feature vectors; theta (p, batch);
phi (m, levels, batch); derivative (m, p, levels, batch). A batch of 1 stands for all units.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch

from neurofer.errors import NeuroferError, unknown_choice

Columns = tuple[torch.Tensor, torch.Tensor]
# Bounds of exponents. Beyond them five strengths show a step, whose exponent is not determined.
EXPONENT = (0.2, 8.0)
# A cosine below this counts as orthogonal: its power has no finite derivative at 0.
ORTHOGONAL = 1e-9
MOST_STARTS = 64


@dataclass(frozen=True)
class Model:
    """A tuning model.

    Attributes:
        name: as the user writes it.
        equation: in words.
        linear: names of b; "w" stands for one per dimension.
        nonlinear: names of theta; "w" and "c" stand for one per dimension.
        columns: (x, theta) -> phi and its derivative by theta.
        box: x -> (p, 2) bounds of theta.
        grid: x -> (p, blocks, block) starting points; a block shares its first coordinates.
        logarithmic: names of theta that are held as logarithms.
        positive: whether all b are at least 0.
        features: whether x are feature vectors.
        arms: models of single columns, for the solutions at which other b are 0.
    """

    name: str
    equation: str
    linear: tuple[str, ...]
    nonlinear: tuple[str, ...]
    columns: Callable[[torch.Tensor, torch.Tensor], Columns]
    box: Callable[[torch.Tensor], torch.Tensor]
    grid: Callable[[torch.Tensor], torch.Tensor]
    logarithmic: frozenset[str] = frozenset()
    positive: bool = False
    features: bool = False
    arms: tuple[Model, ...] = ()

    def names(self, dimensions: int = 1) -> list[str]:
        """Return the names of all parameters of the mean, "a" first."""
        found = ["a"]
        for name in (*self.linear, *self.nonlinear):
            vector = self.features and name in ("w", "c")
            found += [f"{name}{i + 1}" for i in range(dimensions)] if vector else [name]
        return found


def choose(name: str) -> Model:
    """Return a model by its name.

    Raises:
        NeuroferError: there is no such model.
    """
    if name not in MODELS:
        raise unknown_choice("model", name, MODELS)
    return MODELS[name]


def _levels(x: torch.Tensor) -> torch.Tensor:
    return x.unique()


def _spacing(x: torch.Tensor) -> float:
    """Return the median distance of neighbouring levels, at least a fiftieth of the range."""
    levels = _levels(x)
    return max(float(levels.diff().median()), float(levels[-1] - levels[0]) / 50)


def _box(*bounds: tuple[float, float]) -> torch.Tensor:
    return torch.tensor(bounds, dtype=torch.float64).reshape(len(bounds), 2)


def _mesh(first: torch.Tensor, second: torch.Tensor | None = None) -> torch.Tensor:
    """Return (p, blocks, block) of every pair, or of single values."""
    if second is None:
        return first[None, :, None]
    return torch.stack(torch.meshgrid(first, second, indexing="ij"))


def _even(bounds: torch.Tensor, n: int) -> torch.Tensor:
    return torch.linspace(float(bounds[0]), float(bounds[1]), n, dtype=torch.float64)


def _nothing(x: torch.Tensor) -> torch.Tensor:
    return torch.zeros((0, 2), dtype=torch.float64)


def _no_grid(x: torch.Tensor) -> torch.Tensor:
    return torch.zeros((0, 1, 1), dtype=torch.float64)


def _flat(x: torch.Tensor, theta: torch.Tensor) -> Columns:
    return x.new_zeros((0, len(x), 1)), x.new_zeros((0, 0, len(x), 1))


def _linear(x: torch.Tensor, theta: torch.Tensor) -> Columns:
    return x[None, :, None], x.new_zeros((1, 0, len(x), 1))


def _right(x: torch.Tensor, theta: torch.Tensor) -> Columns:
    over = x[:, None] - theta
    return over.clamp(min=0)[None], -(over > 0).to(x.dtype)[None, None]


def _left(x: torch.Tensor, theta: torch.Tensor) -> Columns:
    under = theta - x[:, None]
    return under.clamp(min=0)[None], (under > 0).to(x.dtype)[None, None]


def _both(x: torch.Tensor, theta: torch.Tensor) -> Columns:
    left, right = _left(x, theta), _right(x, theta)
    return torch.cat([left[0], right[0]]), torch.cat([left[1], right[1]])


def _thresholds(first: int) -> Callable[[torch.Tensor], torch.Tensor]:
    def box(x: torch.Tensor) -> torch.Tensor:
        # Outside, one level alone lies beyond the kink: slope and threshold are not determined.
        levels = _levels(x)
        return _box((float(levels[min(first, len(levels) - 2)]), float(levels[-2])))

    return box


def _kinks(box: Callable[[torch.Tensor], torch.Tensor]) -> Callable[[torch.Tensor], torch.Tensor]:
    return lambda x: _mesh(_even(box(x)[0], min(8 * len(_levels(x)) + 1, 129)))


def _power(x: torch.Tensor, theta: torch.Tensor) -> Columns:
    n, shown = theta[0].exp(), (x > 0)[:, None]
    log = torch.where(x > 0, x, 1.0).log()[:, None]
    phi = torch.where(shown, (n * log).exp(), 0.0)
    return phi[None], (phi * n * log)[None, None]


def _power_box(x: torch.Tensor) -> torch.Tensor:
    _not_negative(x, "power")
    return _exponent_box()


def _exponent_box() -> torch.Tensor:
    return _box((math.log(EXPONENT[0]), math.log(EXPONENT[1])))


def _logistic(z: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    s = torch.sigmoid(z)
    return s, s * (1 - s)


def _sigmoid(x: torch.Tensor, theta: torch.Tensor) -> Columns:
    k, over = theta[1].exp(), x[:, None] - theta[0]
    s, slope = _logistic(k * over)
    return s[None], torch.stack([-slope * k, slope * k * over])[None]


def _sigmoid_box(x: torch.Tensor) -> torch.Tensor:
    levels, spacing = _levels(x), _spacing(x)
    low, high = float(levels[0]), float(levels[-1])
    return _box((low, high), (math.log(1 / (high - low)), math.log(15 / spacing)))


def _naka(x: torch.Tensor, theta: torch.Tensor) -> Columns:
    n, shown = theta[1].exp(), (x > 0)[:, None]
    over = torch.where(x > 0, x, 1.0).log()[:, None] - theta[0]
    s, slope = _logistic(n * over)
    s, slope = torch.where(shown, s, 0.0), torch.where(shown, slope, 0.0)
    return s[None], torch.stack([-slope * n, slope * n * over])[None]


def _naka_box(x: torch.Tensor) -> torch.Tensor:
    _not_negative(x, "naka-rushton")
    levels = _levels(x)
    low = float(levels[levels > 0][0]) / 4
    return _box((math.log(low), math.log(float(levels[-1]))), *_exponent_box().tolist())


def _gaussian(x: torch.Tensor, theta: torch.Tensor) -> Columns:
    z = (x[:, None] - theta[0]) / theta[1].exp()
    bump = (-(z**2) / 2).exp()
    return bump[None], torch.stack([bump * z / theta[1].exp(), bump * z**2])[None]


def _gaussian_box(x: torch.Tensor) -> torch.Tensor:
    levels, spacing = _levels(x), _spacing(x)
    low, high = float(levels[0]), float(levels[-1])
    return _box((low, high), (math.log(spacing / 4), math.log(2 * (high - low))))


def _pairs(
    box: Callable[[torch.Tensor], torch.Tensor], first: int, second: int
) -> Callable[[torch.Tensor], torch.Tensor]:
    return lambda x: _mesh(_even(box(x)[0], first), _even(box(x)[1], second))


def _norm_direction(x: torch.Tensor, theta: torch.Tensor) -> Columns:
    """Columns |d| relu(cos)^nu; theta holds a direction of any length, and log nu."""
    length = x.norm(dim=1, keepdim=True)
    unit = x / torch.where(length > 0, length, 1.0)
    size = theta[:-1].norm(dim=0)
    direction, nu = theta[:-1] / size, theta[-1].exp()
    cosine = unit @ direction
    along = cosine > ORTHOGONAL
    safe = torch.where(along, cosine, 1.0)
    phi = torch.where(along, length * safe**nu, 0.0)
    steep = torch.where(along, length * nu * safe ** (nu - 1), 0.0) / size
    turned = unit.T[:, :, None] - cosine * direction[:, None, :]
    return phi[None], torch.cat([steep * turned, (phi * nu * safe.log())[None]])[None]


def _direction_box(x: torch.Tensor) -> torch.Tensor:
    free = [(-math.inf, math.inf)] * x.shape[1]
    return _box(*free, *_exponent_box().tolist())


def _direction_grid(x: torch.Tensor) -> torch.Tensor:
    length = x.norm(dim=1)
    unit = (x[length > 0] / length[length > 0, None]).round(decimals=9).unique(dim=0)
    mean = unit.mean(dim=0, keepdim=True)
    candidates = torch.cat([_spread_out(unit), mean]) if mean.norm() > 1e-6 else _spread_out(unit)
    exponents = torch.tensor([0.5, 1.0, 2.0, 4.0], dtype=x.dtype).log()
    return _with_scalar(candidates, exponents)


def _axis(x: torch.Tensor, theta: torch.Tensor) -> Columns:
    return x.T[:, :, None], x.new_zeros((x.shape[1], 0, len(x), 1))


def _exemplar(x: torch.Tensor, theta: torch.Tensor) -> Columns:
    s = theta[-1].exp()
    z = (x.T[:, :, None] - theta[:-1, None, :]) / s
    square = (z**2).sum(dim=0)
    bump = (-square / 2).exp()
    return bump[None], torch.cat([bump * z / s, (bump * square)[None]])[None]


def _extent(x: torch.Tensor) -> float:
    return float(torch.cdist(x, x).max())


def _exemplar_box(x: torch.Tensor) -> torch.Tensor:
    sides = torch.stack([x.amin(dim=0), x.amax(dim=0)], dim=1).tolist()
    extent = _extent(x)
    return _box(*map(tuple, sides), (math.log(extent / 50), math.log(2 * extent)))


def _exemplar_grid(x: torch.Tensor) -> torch.Tensor:
    widths = _extent(x) * torch.tensor([0.1, 0.2, 0.4, 0.8], dtype=x.dtype)
    return _with_scalar(_spread_out(x.unique(dim=0)), widths.log())


def _spread_out(points: torch.Tensor) -> torch.Tensor:
    """Return at most `MOST_STARTS` of the points, evenly by their order."""
    if len(points) <= MOST_STARTS:
        return points
    return points[torch.linspace(0, len(points) - 1, MOST_STARTS).long()]


def _with_scalar(points: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    """Return (dimensions + 1, points, values)."""
    shape = (points.shape[1], len(points), len(values))
    return torch.cat([points.T[:, :, None].expand(shape), values.expand(1, *shape[1:])])


def _not_negative(x: torch.Tensor, name: str) -> None:
    if bool((x < 0).any()):
        raise NeuroferError(
            f"model {name!r} is a function of strengths of at least 0; these go down to "
            f"{float(x.min()):g}: leave it out, or give the distance from the norm"
        )


_RIGHT_BOX, _V_BOX = _thresholds(0), _thresholds(1)
_ARMS = (
    Model("left arm", "", ("b_left",), ("x0",), _left, _V_BOX, _kinks(_V_BOX), positive=True),
    Model("right arm", "", ("b_right",), ("x0",), _right, _V_BOX, _kinks(_V_BOX), positive=True),
)
_EXPONENT, _STEEPNESS = frozenset({"n"}), frozenset({"k"})
MODELS: dict[str, Model] = {
    one.name: one
    for one in (
        Model("flat", "a", (), (), _flat, _nothing, _no_grid),
        Model("linear", "a + b x", ("b",), (), _linear, _nothing, _no_grid),
        Model(
            "rectified", "a + b max(0, x - x0)", ("b",), ("x0",), _right, _RIGHT_BOX,
            _kinks(_RIGHT_BOX),
        ),
        Model(
            "v-shape", "a + b_left max(0, x0 - x) + b_right max(0, x - x0), both b >= 0",
            ("b_left", "b_right"), ("x0",), _both, _V_BOX, _kinks(_V_BOX), positive=True,
            arms=_ARMS,
        ),
        Model(
            "power", "a + b x^n", ("b",), ("n",), _power, _power_box,
            lambda x: _mesh(_even(_power_box(x)[0], 33)), _EXPONENT,
        ),
        Model(
            "sigmoid", "a + b / (1 + exp(-k (x - x0)))", ("b",), ("x0", "k"), _sigmoid,
            _sigmoid_box, _pairs(_sigmoid_box, 17, 12), _STEEPNESS,
        ),
        Model(
            "naka-rushton", "a + b x^n / (x^n + c50^n)", ("b",), ("c50", "n"), _naka, _naka_box,
            _pairs(_naka_box, 17, 12), frozenset({"c50", "n"}),
        ),
        Model(
            "gaussian", "a + b exp(-(x - mu)^2 / (2 s^2)), b >= 0", ("b",), ("mu", "s"), _gaussian,
            _gaussian_box, _pairs(_gaussian_box, 31, 16), frozenset({"s"}), positive=True,
        ),
        Model(
            "norm-direction", "a + b |x| max(0, cos(x, w))^nu, b of either sign", ("b",),
            ("w", "nu"), _norm_direction, _direction_box, _direction_grid, frozenset({"nu"}),
            features=True,
        ),
        Model("axis", "a + w . x", ("w",), (), _axis, _nothing, _no_grid, features=True),
        Model(
            "exemplar", "a + b exp(-|x - c|^2 / (2 s^2)), b >= 0", ("b",), ("c", "s"), _exemplar,
            _exemplar_box, _exemplar_grid, frozenset({"s"}), positive=True, features=True,
        ),
    )
}  # fmt: skip
STRENGTH_MODELS = tuple(name for name, one in MODELS.items() if not one.features)
FEATURE_MODELS = ("flat", *(name for name, one in MODELS.items() if one.features))
