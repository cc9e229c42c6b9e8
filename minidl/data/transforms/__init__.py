"""Transforms of images in arrays: whole batches at once, every draw from the generator they are given."""

from minidl.data.transforms.colour import ColorJitter, Normalize, ToFloat
from minidl.data.transforms.erasing import Cutout, RandomErasing
from minidl.data.transforms.framing import CenterCrop, RandomCrop, Resize
from minidl.data.transforms.moving import (
    RandomHorizontalFlip,
    RandomRotation,
    RandomShift,
    RandomVerticalFlip,
)
from minidl.data.transforms.transform import Compose, Transform

__all__ = [
    "CenterCrop",
    "ColorJitter",
    "Compose",
    "Cutout",
    "Normalize",
    "RandomCrop",
    "RandomErasing",
    "RandomHorizontalFlip",
    "RandomRotation",
    "RandomShift",
    "RandomVerticalFlip",
    "Resize",
    "ToFloat",
    "Transform",
]
