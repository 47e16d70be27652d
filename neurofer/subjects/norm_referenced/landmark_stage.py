"""The template landmark stage: one image to thirteen points, their confidence, and a known face.

Two passes, as one looks twice. The FR pathway finds the face in a small image (`face_finder`). The
image is warped into the frame of that head and looked at through a window (`crops`): there the
position landmarks are found anew, and from where they say, the expression landmarks, first on the
features of a deep layer, which tell what is what, then on those of an earlier one, which tell
where it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch

from neurofer.errors import NeuroferError
from neurofer.files import content_hash
from neurofer.subjects.norm_referenced.crops import Window, identity_frame, warp, window_round
from neurofer.subjects.norm_referenced.face_finder import FaceFinder, FirstLook
from neurofer.subjects.norm_referenced.lessons import WORK_SIZE, Lessons
from neurofer.subjects.norm_referenced.localisation import Found, localise, refine
from neurofer.subjects.norm_referenced.reference import FaceFrame, face_frame
from neurofer.subjects.norm_referenced.templates import (
    TemplateBank,
    radial_activity,
    unit_features,
)
from neurofer.subjects.preprocess import image_tensor
from neurofer.subjects.trunk import Trunk, layer_stride

EXPRESSION = 10  # landmarks of expression; those of position follow
SHARED = -1  # the source of templates that all heads share: those of the tuning images
POSITION_TEMPLATE = 7  # cells
EXPRESSION_TEMPLATE = 5
REFINE_TEMPLATE = 9
FIELD = 9.0  # radius of the receptive fields by default, pixels of the frame
REFINE_FIELD = 3.0
MARGIN = 24.0  # of the window round the landmarks, pixels of the frame


@dataclass(frozen=True)
class Truth:
    """What the stimuli say of an image; only the ground-truth stage looks at it.

    Attributes:
        landmarks: (13, 2) pixels of the working image, or None.
    """

    landmarks: np.ndarray | None
    head: str
    identity: str


@dataclass(frozen=True)
class Sight:
    """What a landmark stage says of one image.

    Attributes:
        points: (13, 2) x and y, pixels of the working image; NaN where nothing was found.
        confidence: (13,) 0 to 1.
        face: index of the known face whose reference fits best.
        evidence: (faces,) how well each known face fits, 0 to 1.
        maps: (13, h, w) activity of the landmarks' templates in the frame of the head; None where
            the stage has none.
    """

    points: np.ndarray
    confidence: np.ndarray
    face: int
    evidence: np.ndarray
    maps: np.ndarray | None = None


class LandmarkStage(Protocol):
    """Anything that finds landmarks in an image."""

    identifier: str

    def see(self, image: np.ndarray, truth: Truth, *, maps: bool = False) -> Sight:
        """Return what is seen in one image (size, size, 3) uint8.

        Args:
            image: at the working size.
            truth: what the stimuli say of it.
            maps: whether `Sight.maps` is wanted.
        """


@dataclass(frozen=True)
class StageOptions:
    """How the template stage looks; `subject.MdNre` says what each option means."""

    layer: str = "conv3_3"
    refine_layer: str | None = "conv2_2"
    align: str = "xy"
    vertical_prior: float = 0.75
    localiser: str = "quadratic"
    zoom: float = 1.25
    min_confidence: float = 0.2
    field: float = FIELD
    by_identity: bool = False
    expressive_templates: bool = True
    fr_channels: np.ndarray | None = None
    fer_channels: np.ndarray | None = None

    def __post_init__(self) -> None:
        """Refuse receptive fields without a place in them.

        Raises:
            NeuroferError: the radius is not a number of pixels.
        """
        number = isinstance(self.field, (int, float)) and not isinstance(self.field, bool)
        if not number or not 1 <= self.field <= WORK_SIZE:
            raise NeuroferError(
                f"field={self.field!r}; the radius of the receptive fields is a number of pixels, "
                f"1 to {WORK_SIZE}"
            )


@dataclass(frozen=True)
class HeadView:
    """The window on a head, and the templates that are looked for in it."""

    window: Window
    fine_window: Window
    position: TemplateBank
    expression: TemplateBank
    fine: TemplateBank
    faces: list[int]


@dataclass(frozen=True)
class View:
    """The features of one image through a window: for FR, FER, and at the refining layer."""

    fr: torch.Tensor
    fer: torch.Tensor
    fine: torch.Tensor


class TemplateStage:
    """Radial-basis templates on the trunk's features.

    Args:
        lessons: the training images.
        trunk: where features come from.
        options: see `StageOptions`.
    """

    def __init__(self, lessons: Lessons, trunk: Trunk, options: StageOptions) -> None:
        self.lessons, self.trunk, self.options = lessons, trunk, options
        rows = [face.row for face in lessons.faces]
        images = image_tensor(lessons.images)
        self.reference = lessons.references
        self.finder = FaceFinder(
            trunk,
            options.layer,
            options.fr_channels,
            images[rows],
            lessons.landmarks[rows, EXPRESSION:],
        )
        self.windows = self._windows()
        self.heads = [self._head(head, images) for head in range(len(lessons.heads))]
        self.identifier = content_hash(
            "template", trunk.identifier, lessons.images, lessons.landmarks, options
        )

    def see(self, image: np.ndarray, truth: Truth, *, maps: bool = False) -> Sight:
        """Return what is seen in one image; the truth is not looked at.

        Args:
            image: (size, size, 3) uint8, at the working size.
            truth: what the stimuli say of it.
            maps: whether `Sight.maps` is wanted.
        """
        del truth
        pixels = image_tensor([image])
        return self.look_closer(pixels, self.finder.look(pixels), maps=maps)

    def look_closer(self, pixels: torch.Tensor, look: FirstLook, *, maps: bool = False) -> Sight:
        """Look again at a face that was found, in the frame of its head.

        Args:
            pixels: of the image at the working size.
            look: what the first look found.
            maps: whether `Sight.maps` is wanted.
        """
        face = look.face
        head = self.heads[self.lessons.faces[face].head]
        frame = self._frame(self._sure(look.position, look.distance), face)
        view = self._view(warp(pixels, frame, head.window))
        distance = head.position.distances(view.fr)[0].numpy()
        cost = look.cost.copy()
        if self.options.by_identity:
            face = self._recognise(distance, head, face, cost)
        sources = (face, SHARED)
        found = self._find_position(distance, head, face, sources)
        position = frame.to_image(head.window.to_frame(found.place)[None])[0]
        position = self._sure(position, found.distance)
        # Where the landmarks would be, had the face no expression.
        moved = self._frame(position, face)
        rest = frame.to_frame(moved.to_image(self.reference[face][None, :EXPRESSION]))[0]
        expression = head.expression.distances(view.fer)[0].numpy()
        points, nearest = self._find_expression(expression, head, view, rest, sources)
        points = frame.to_image(points[None])[0]
        return Sight(
            points=np.concatenate([self._sure(points, nearest), position]),
            confidence=np.clip(1.0 - np.concatenate([nearest, found.distance]), 0.0, 1.0),
            face=face,
            evidence=np.clip(1.0 - cost, 0.0, 1.0),
            maps=_activity_maps(expression, distance, head) if maps else None,
        )

    def _sure(self, points: np.ndarray, distance: np.ndarray) -> np.ndarray:
        """Return the points with NaN where no template is near enough."""
        return np.where(distance[:, None] > 1.0 - self.options.min_confidence, np.nan, points)

    def _frame(self, position: np.ndarray, face: int) -> FaceFrame:
        """Return the frame of a face; where nothing of it was found, the image itself."""
        if np.isnan(position).all():
            return identity_frame()
        return face_frame(
            position[None],
            self.reference[face, EXPRESSION:],
            align=self.options.align,
            vertical_prior=self.options.vertical_prior,
        )

    def _find_position(
        self, distance: np.ndarray, head: HeadView, face: int, sources: Sequence[int]
    ) -> Found:
        centre = head.window.to_cells(self.reference[face, EXPRESSION:])
        radius = self.options.field / head.window.cell
        return localise(distance, head.position, centre, radius, sources=sources)

    def _recognise(self, distance: np.ndarray, head: HeadView, face: int, cost: np.ndarray) -> int:
        """Return the face of this head whose position templates fit best; note all their costs."""
        for other in head.faces:
            found = self._find_position(distance, head, other, [other])
            cost[other] = found.distance.mean()
        return head.faces[int(np.argmin(cost[head.faces]))]

    def _find_expression(
        self,
        distance: np.ndarray,
        head: HeadView,
        view: View,
        rest: np.ndarray,
        sources: Sequence[int],
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the expression landmarks (10, 2) in the frame, and their distances."""
        found = localise(
            distance,
            head.expression,
            head.window.to_cells(rest),
            self.options.field / head.window.cell,
            localiser=self.options.localiser,
            sources=sources,
        )
        points = head.window.to_frame(found.place)
        if self.options.refine_layer is not None and self.options.localiser == "quadratic":
            window = head.fine_window
            radius = round(REFINE_FIELD / window.cell)
            cells = window.to_cells(points)
            places = refine(view.fine, head.fine, cells, radius, sources=sources)
            points = window.to_frame(places)
        return points, found.distance

    def _view(self, pixels: torch.Tensor) -> View:
        layer, refining = self.options.layer, self.options.refine_layer or self.options.layer
        activity = self.trunk(pixels, (layer, refining))
        fr, fer = self.options.fr_channels, self.options.fer_channels
        first = unit_features(activity[layer], fr)
        second = first if fr is None and fer is None else unit_features(activity[layer], fer)
        return View(first, second, unit_features(activity[refining]))

    def _windows(self) -> list[Window]:
        """Return a window for each head: round its own faces as far as the tuning images reach."""
        stride = layer_stride(self.options.layer)
        points = []
        for head in range(len(self.lessons.heads)):
            known = self.reference[self.lessons.faces_of(head)]
            moved = known[:, None] + self.lessons.travels[None]
            points.append(np.concatenate([known.reshape(-1, 2), moved.reshape(-1, 2)]))
        # One shape for all heads, so that their maps can be recorded side by side.
        alone = [window_round(p, MARGIN, self.options.zoom, stride) for p in points]
        height, width = np.max([window.shape for window in alone], axis=0)
        shape = (int(height), int(width))
        return [window_round(p, MARGIN, self.options.zoom, stride, shape) for p in points]

    def _head(self, head: int, images: torch.Tensor) -> HeadView:
        """Cut a head's templates: from its own faces, and for all heads from the tuning images."""
        lessons, window = self.lessons, self.windows[head]
        faces = lessons.faces_of(head)
        rows = [lessons.faces[face].row for face in faces]
        position, expression, fine = self._cut(window, images, rows, faces)
        if self.options.expressive_templates:
            cuts = [(position, expression, fine)]
            for row, face in zip(lessons.tuning_rows, lessons.tuning_faces, strict=True):
                home = self.windows[lessons.faces[face].head]
                cuts.append(self._cut(home, images, [row], [SHARED]))
            position, expression, fine = (
                TemplateBank.join(list(banks)) for banks in zip(*cuts, strict=True)
            )
        return HeadView(window, self._fine(window), position, expression, fine, faces)

    def _fine(self, window: Window) -> Window:
        layer = self.options.refine_layer or self.options.layer
        return Window(window.origin, window.shape, window.zoom, layer_stride(layer))

    def _cut(
        self, window: Window, images: torch.Tensor, rows: list[int], sources: list[int]
    ) -> tuple[TemplateBank, TemplateBank, TemplateBank]:
        views = [self._view(warp(images[[row]], identity_frame(), window)) for row in rows]
        landmarks = self.lessons.landmarks[rows]
        places, fine_places = window.to_cells(landmarks), self._fine(window).to_cells(landmarks)
        travel = self.lessons.travel_of(rows) / window.cell
        return (
            TemplateBank.cut(
                torch.cat([view.fr for view in views]),
                places[:, EXPRESSION:],
                POSITION_TEMPLATE,
                sources,
                travel[:, EXPRESSION:],
            ),
            TemplateBank.cut(
                torch.cat([view.fer for view in views]),
                places[:, :EXPRESSION],
                EXPRESSION_TEMPLATE,
                sources,
                travel[:, :EXPRESSION],
            ),
            TemplateBank.cut(
                torch.cat([view.fine for view in views]),
                fine_places[:, :EXPRESSION],
                REFINE_TEMPLATE,
                sources,
            ),
        )


def _activity_maps(expression: np.ndarray, position: np.ndarray, head: HeadView) -> np.ndarray:
    """Return the activity of each landmark's best template at every place, (13, h, w) float32."""
    maps = []
    for distance, bank in ((expression, head.expression), (position, head.position)):
        for landmark in range(bank.landmark.max() + 1):
            nearest = distance[bank.landmark == landmark].min(axis=0)
            maps.append(radial_activity(nearest).astype(np.float32))
    return np.stack(maps)
