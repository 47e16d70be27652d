"""The MD-NRE subject: from images to norm-referenced units and an answer."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, replace
from typing import Annotated, Any, ClassVar

import numpy as np

from neurofer.errors import NeuroferError, unknown_choice
from neurofer.faces import LANDMARKS, PARTS, POSITION_LANDMARKS
from neurofer.files import content_hash
from neurofer.options import above, at_least, within
from neurofer.recording import Batch, Site
from neurofer.stimuli import StimulusSet
from neurofer.subjects.facts import Facts
from neurofer.subjects.norm_referenced import dissection, heatmap
from neurofer.subjects.norm_referenced.landmark_stage import (
    EXPRESSION,
    FIELD,
    LandmarkStage,
    Sight,
    StageOptions,
    TemplateStage,
    Truth,
)
from neurofer.subjects.norm_referenced.lessons import Lessons, dropped_landmarks, read_lessons
from neurofer.subjects.norm_referenced.localisation import LOCALISERS
from neurofer.subjects.norm_referenced.other_stages import GroundTruthStage, HeatmapStage
from neurofer.subjects.norm_referenced.readout import (
    NORMALISATIONS,
    RECTIFICATIONS,
    decide,
    difference_vectors,
    project,
    training_activity,
)
from neurofer.subjects.norm_referenced.reference import ALIGNMENTS, face_frame, rescale
from neurofer.subjects.norm_referenced.template_choice import template_score
from neurofer.subjects.preprocess import image_tensor, resize
from neurofer.subjects.registry import register
from neurofer.subjects.subject import Subject
from neurofer.subjects.trunk import TRUNKS, Trunk, load_trunk
from neurofer.subjects.weight_files.sources import package_facts

BACK_ENDS = ("template", "heatmap", "heatmap-human", "ground-truth")
REMEMBERED = 4096  # sights kept in memory, so that subjects which differ in the readout share them
_REGIONS = {"conv1_2": "V1", "conv2_2": "V2", "conv3_3": "V4"}
_SIGHTS: OrderedDict[tuple[str, str], Sight] = OrderedDict()


@register("md-nre")
class MdNre(Subject):
    """Multi-domain norm-referenced encoding, Stettler et al. 2023.

    The defaults keep what the paper states of the readout and of dissection, and cost accuracy: of
    the 96 test images of `bfs` they answer 79.2 %, where the settings of the studies
    (`dissection="off", vertical_prior=1.0, normalisation="categorical", neutral_threshold=0.2`)
    answer 96.9 %, and 84.4 % without the threshold, which the paper lacks. With everything as
    printed (`dissection="on", iou_cut=0.04, channels=None, normalisation="individual",
    neutral_threshold=0`) it is 55.2 %.

    Options, beside those that the paper fixes:

    - `landmarks`: where landmarks come from. "template": radial-basis templates on the trunk's
      features; "heatmap", "heatmap-human": a trained net; "ground-truth": the stimuli, as the
      bound of the readout.
    - `trunk`, `layer`: the feature network and its layer; `refine_layer`: an earlier layer on
      which landmarks are found more exactly, None for not.
    - `dissection`: "on" uses only the channels that network dissection finds for the parts of
      the face, `channels` of them a part at most (None: no limit), with an IoU of at least
      `iou_cut`; it needs training stimuli with part labels. "off" uses all. The refining layer
      keeps all its channels in either case.
    - `localiser`: "quadratic", or "rbf", the original's weighted mean.
    - `align`: how the frame follows the face, see `reference.face_frame`; `vertical_prior`.
    - `normalisation`, `rectification`: of Eq. 3, see `readout`.
    - `neutral_threshold`: an expression is seen where its unit exceeds this fraction of its
      activity for its own training image.
    - `reference`: "head", the first training neutral of the recognised head; "identity", that of
      the face that was recognised among all training neutrals.
    - `single_reference`: a head whose reference serves all (the ablation).
    - `inferred_reference`: an expression by which the other heads are known instead of by their
      neutral image: r = s - t.
    - `drop`: landmarks, or sets of them ("eyes", "mouth", "left", "right"), left out.
    - `templates`: "expressions" cuts templates from the tuning images too; "neutral" only from
      the neutrals, as the original's first version.
    - `min_confidence`: landmarks that fit worse are missing, and contribute nothing.
    - `field`: radius of the receptive fields of landmarks, pixels (14: 92.7 % of `bfs`).

    The head is decided for first, and hard (Eq. 2): its reference alone serves the image.
    """

    defaults: ClassVar[Mapping[str, Any]] = {
        "landmarks": "template",
        "trunk": "vgg16-bsds",
        "layer": "conv3_3",
        "refine_layer": "conv2_2",
        "dissection": "on",
        "channels": 20,
        "iou_cut": 0.0,
        "localiser": "quadratic",
        "templates": "expressions",
        "align": "xy",
        "vertical_prior": 0.75,
        "zoom": 1.25,
        "normalisation": "individual",
        "rectification": "per-landmark",
        "neutral_threshold": 0.175,
        "reference": "head",
        "single_reference": None,
        "inferred_reference": None,
        "drop": (),
        "min_confidence": 0.2,
        "field": FIELD,
        "seed": 0,
    }
    choices: ClassVar[Mapping[str, Sequence[Any]]] = {
        "landmarks": BACK_ENDS,
        "trunk": TRUNKS,
        "dissection": ("on", "off"),
        "localiser": LOCALISERS,
        "templates": ("expressions", "neutral"),
        "align": ALIGNMENTS,
        "normalisation": NORMALISATIONS,
        "rectification": RECTIFICATIONS,
        "reference": ("head", "identity"),
    }
    allowed: ClassVar[Mapping[str, Any]] = {
        **Subject.allowed,
        "refine_layer": str | None,
        "channels": Annotated[int, at_least(1)],
        "iou_cut": Annotated[float, within(0, 1)],
        "vertical_prior": Annotated[float, within(0, 1)],
        "zoom": Annotated[float, above(0)],
        "neutral_threshold": Annotated[float, at_least(0)],
        "single_reference": str | None,
        "inferred_reference": str | None,
        "drop": str | Sequence[str],
    }

    @classmethod
    def facts(cls) -> Facts:
        """Return what is known of it before it has learned: what its trunk is."""
        return Facts(gray=False, **package_facts(cls.defaults["trunk"]))

    @staticmethod
    def training_score(head: str, **options: Any) -> Callable[[StimulusSet, np.ndarray], Any]:
        """Return the score by which the protocol "twelve-optimized" chooses training images.

        See `neurofer.subjects.norm_referenced.template_choice.template_score`.
        """
        return template_score(head, **{**MdNre.defaults, **options})

    def __init__(self, training: StimulusSet | None = None, **options: Any) -> None:
        super().__init__(training, **options)
        self.options["drop"] = _names(self.options["drop"])
        self.lessons = read_lessons(training, self.options["inferred_reference"])
        self._dropped = dropped_landmarks(self.options["drop"])
        self._single = self._single_face()
        self.trunk: Trunk | None = None
        self.stage = self._make_stage()
        self._learn()
        self.sites = self._make_sites()
        self.default_sites = ("decision",)

    @property
    def weights_hash(self) -> str:
        """A hash of the trunk, the templates and the learned vectors."""
        return content_hash(self.stage.identifier, self._tuning)

    def respond(self, batch: Batch, sites: Sequence[str]) -> dict[str, np.ndarray]:
        """Return the response of every named site."""
        images = [resize(image, self.lessons.size) for image in batch.images]
        sights = [
            self._see(image, truth, maps="landmark_maps" in sites)
            for image, truth in zip(images, self._truths(batch), strict=True)
        ]
        found = self._layers(images, [site for site in sites if site.startswith("conv")])
        points = np.stack([sight.points for sight in sights])
        differences = self._differences(points, np.array([sight.face for sight in sights]))
        activity = self._activity(differences)
        answers = {
            "landmarks": lambda: self._to_original(points, batch),
            "differences": lambda: differences,
            "nre": lambda: activity,
            "head": lambda: np.stack([self._head_evidence(sight) for sight in sights]),
            "decision": lambda: self._decision(differences),
            "landmark_maps": lambda: np.stack([sight.maps for sight in sights]),  # type: ignore
        }
        for site in sites:
            if site not in found:
                found[site] = np.ascontiguousarray(answers[site](), dtype=np.float32)
        return found

    # What was learned

    def _learn(self) -> None:
        """Learn what turns differences into an answer."""
        self._tuning = self._tuning_vectors()
        self._thresholds = self._neutral_thresholds()

    def _make_stage(self) -> LandmarkStage:
        if self.options["landmarks"] == "ground-truth":
            return GroundTruthStage(self._known())
        self.trunk = load_trunk(self.options["trunk"], seed=self.options["seed"])
        for option in ("layer", "refine_layer"):
            if self.options[option] not in (*self.trunk.layers, *([None] * (option != "layer"))):
                raise unknown_choice(option, self.options[option], self.trunk.layers)
        fr, fer = self._dissected(self.trunk)
        named = [field.name for field in fields(StageOptions)]
        templates = TemplateStage(
            self._known(),
            self.trunk,
            StageOptions(
                **{name: self.options[name] for name in named if name in self.options},
                by_identity=self.options["reference"] == "identity",
                expressive_templates=self.options["templates"] == "expressions",
                fr_channels=fr,
                fer_channels=fer,
            ),
        )
        if self.options["landmarks"] == "template":
            return templates
        net = heatmap.load(self.options["landmarks"])
        return HeatmapStage(net, templates, self.options["min_confidence"])

    def _known(self) -> Lessons:
        """Return the lessons, with one face a head where the reference goes by head."""
        if self.options["reference"] == "identity":
            return self.lessons
        lessons = self.lessons
        first = [lessons.faces_of(head)[0] for head in range(len(lessons.heads))]
        # The tuning images are compared with the neutral of the same face.
        homes = [lessons.faces[face].head for face in lessons.tuning_faces]
        for home, face in reversed(list(zip(homes, lessons.tuning_faces, strict=True))):
            first[home] = face
        self.lessons = replace(
            lessons,
            faces=tuple(lessons.faces[face] for face in first),
            tuning_faces=tuple(homes),
        )
        return self.lessons

    def _dissected(self, trunk: Trunk) -> tuple[np.ndarray | None, np.ndarray | None]:
        """Return the channels of the FR and the FER pathway; None for all."""
        if self.options["dissection"] == "off":
            return None, None
        if self.lessons.parts is None:
            raise NeuroferError(
                "dissection='on' needs training stimuli with part labels, which rendered sets "
                "have; for photographs use dissection='off'"
            )
        layer = self.options["layer"]
        activity = trunk(image_tensor(self.lessons.images), (layer,))[layer].numpy()
        chosen = []
        for concepts in (dissection.FR_CONCEPTS, dissection.FER_CONCEPTS):
            masks = dissection.concept_masks(self.lessons.parts, PARTS, concepts)
            iou = dissection.intersection_over_union(activity, masks)
            channels = dissection.choose_channels(
                iou, self.options["iou_cut"], self.options["channels"]
            )
            if not len(channels):
                raise NeuroferError(
                    f"iou_cut={self.options['iou_cut']} leaves no channel of {layer} for "
                    f"{' or '.join(concepts)}; the best has {iou.max():.3f}"
                )
            chosen.append(channels)
        return chosen[0], chosen[1]

    def _tuning_vectors(self) -> np.ndarray:
        """Return t (m, 10, 2): the tuning images' landmarks in the frame of their reference."""
        landmarks = self.lessons.landmarks[list(self.lessons.tuning_rows)]
        return self._read(landmarks, np.array(self.lessons.tuning_faces))

    def _neutral_thresholds(self) -> np.ndarray:
        shown = np.where(self._dropped[:, None], np.nan, self._tuning)
        whole = training_activity(self._tuning, **self._readout())
        if self._dropped.any():
            whole = np.diagonal(project(shown, self._tuning, **self._readout()))
        return np.asarray(self.options["neutral_threshold"] * whole)

    def _single_face(self) -> int | None:
        head = self.options["single_reference"]
        if head is None:
            return None
        if head not in self.lessons.heads:
            raise unknown_choice("single_reference", head, self.lessons.heads)
        return self.lessons.heads.index(head)

    # What is done with an image

    def _see(self, image: np.ndarray, truth: Truth, *, maps: bool = False) -> Sight:
        if isinstance(self.stage, GroundTruthStage) or maps:
            return self.stage.see(image, truth, maps=maps)
        key = (self.stage.identifier, content_hash(image))
        if key not in _SIGHTS:
            _SIGHTS[key] = self.stage.see(image, truth)
            if len(_SIGHTS) > REMEMBERED:
                _SIGHTS.popitem(last=False)
        return _SIGHTS[key]

    def _truths(self, batch: Batch) -> list[Truth]:
        """Return what the stimuli say; only the ground-truth stage reads it."""
        truths = []
        for row, (head, identity) in enumerate(
            zip(batch.table["head"], batch.table["identity"], strict=True)
        ):
            points = None
            if batch.landmarks is not None:
                points = rescale(
                    batch.landmarks[row], batch.images[row].shape, (self.lessons.size,) * 2
                )
            truths.append(Truth(points, head, identity))
        return truths

    def _read(self, points: np.ndarray, faces: np.ndarray) -> np.ndarray:
        """Return d = s - r (n, 10, 2) in the frame of the reference, before anything is dropped."""
        if self._single is not None:
            faces = np.full(len(points), self.lessons.faces_of(self._single)[0])
        reference = self.lessons.references[faces]
        frame = face_frame(
            points[:, EXPRESSION:],
            reference[:, EXPRESSION:],
            align=self.options["align"],
            vertical_prior=self.options["vertical_prior"],
        )
        return difference_vectors(frame.to_frame(points), reference)[:, :EXPRESSION]

    def _differences(self, points: np.ndarray, faces: np.ndarray) -> np.ndarray:
        return np.where(self._dropped[:, None], np.nan, self._read(points, faces))

    def _activity(self, differences: np.ndarray) -> np.ndarray:
        return project(differences, self._tuning, **self._readout())

    def _decision(self, differences: np.ndarray) -> np.ndarray:
        return decide(self._activity(differences), self._thresholds)

    def _readout(self) -> dict[str, str]:
        return {name: self.options[name] for name in ("normalisation", "rectification")}

    def _head_evidence(self, sight: Sight) -> np.ndarray:
        heads = np.array([face.head for face in self.lessons.faces])
        return np.array(
            [sight.evidence[heads == head].max() for head in range(len(self.lessons.heads))]
        )

    def _layers(self, images: list[np.ndarray], names: list[str]) -> dict[str, np.ndarray]:
        if not names or self.trunk is None:
            return {}
        return {
            name: activity.numpy()
            for name, activity in self.trunk(image_tensor(images), names).items()
        }

    def _to_original(self, points: np.ndarray, batch: Batch) -> np.ndarray:
        """Bring points from the working size to the pixels of each image as it was given."""
        size = (self.lessons.size,) * 2
        return np.stack(
            [
                rescale(one, size, image.shape)
                for one, image in zip(points, batch.images, strict=True)
            ]
        )

    def _make_sites(self) -> dict[str, Site]:
        names = (*LANDMARKS, *POSITION_LANDMARKS)
        units = self.lessons.expressions
        sites = [
            Site("landmarks", labels=_coordinates(names)),
            Site("differences", labels=_coordinates(LANDMARKS)),
            Site("nre", region="IT", labels=units),
            Site("head", labels=self.lessons.heads),
            Site("decision", labels=("neutral", *units)),
        ]
        if self.options["landmarks"] == "template":
            sites.insert(0, Site("landmark_maps"))
        if self.trunk is not None:
            last = self.trunk.layers.index(self.options["layer"])
            layers = self.trunk.layers[: last + 1]
            sites = [Site(layer, region=_REGIONS.get(layer)) for layer in layers] + sites
        return {site.name: site for site in sites}


def _names(drop: str | Sequence[str] | None) -> list[str]:
    if drop is None:
        return []
    return [drop] if isinstance(drop, str) else list(drop)


def _coordinates(names: Sequence[str]) -> tuple[str, ...]:
    return tuple(f"{name}.{axis}" for name in names for axis in "xy")
