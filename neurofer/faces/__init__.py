"""Heads with known truth: human, monkey, cartoon and avatar faces that show action units."""

from neurofer.faces.actions import RECIPES
from neurofer.faces.avatars import AVATARS, make_avatar
from neurofer.faces.background import make_background
from neurofer.faces.camera import Camera
from neurofer.faces.heads import HEADS
from neurofer.faces.identities import Identity, make_identity
from neurofer.faces.landmarks import LANDMARKS, POSITION_LANDMARKS
from neurofer.faces.lighting import Light
from neurofer.faces.parts import PARTS
from neurofer.faces.render import FaceRenderer, Rendering
from neurofer.faces.version import RENDERER_VERSION

__all__ = [
    "AVATARS",
    "HEADS",
    "LANDMARKS",
    "PARTS",
    "POSITION_LANDMARKS",
    "RECIPES",
    "RENDERER_VERSION",
    "Camera",
    "FaceRenderer",
    "Identity",
    "Light",
    "Rendering",
    "make_avatar",
    "make_background",
    "make_identity",
]
