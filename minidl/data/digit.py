"""Any picture of one digit, brought into the form of MNIST, so that a model trained there can read it.

MNIST's images were made in a fixed way: ink 1 on paper 0, the digit scaled to fit 20×20, its centre of
mass put at the centre of 28×28 (LeCun et al. 1998, section III.A). A model has seen nothing else, so a
photo has to go the same way first; each function below is one step of it.
"""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from minidl.errors import DataError

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["read_digit"]

Floats = NDArray[np.float64]

MAX_PIXELS = 100_000_000  # a phone's photo has 12 to 50 million; a small file can claim billions
WORKING_SIDE = 320  # a picture is reduced to at most this before anything is computed
LEAST_CONTRAST = 0.06  # of the range from black to white: less is paper, not ink
LEAST_SIGNAL = 6.0  # ink must differ from paper by so many standard deviations of the paper's noise
SPECK = 0.05  # a blot smaller than this share of the largest is dirt
EDGE = 0.08  # a blot along more than this share of the border is no digit, if there is another
BOX = 20  # the digit's longer side in MNIST
SIDE = 28
THIN, PEN = 1.6, 2.1  # strokes thinner than 95 % of MNIST's are drawn again at its usual width, in pixels
FINE = 4  # thickening works on a grid this much finer than MNIST's


def read_digit(path: str | os.PathLike[str]) -> NDArray[np.float32]:
    """A picture of one digit as MNIST would hold it.

    Dark on light or light on dark, in any size and colour, with a transparent or unevenly lit background.

    Args:
        path: a PNG or JPEG file.

    Returns:
        float32 (1, 1, 28, 28), paper 0, ink up to 1: a batch of one, ready for a model.

    Raises:
        DataError: the file is missing, is no PNG or JPEG, is damaged, claims more than a hundred million
            pixels, or shows nothing that stands out from its background.
    """
    called = str(Path(path))
    ink = _ink(_pixels(_decode(path, called), called), called)
    ink = _crop(_without_specks(ink))
    image = _centred(_fitted(_thickened(ink)))
    return image.astype(np.float32).reshape(1, 1, SIDE, SIDE)  # (1, 1, 28, 28)


def _decode(path: str | os.PathLike[str], called: str) -> Image:
    """The picture upright, reduced to the working size."""
    from PIL import Image, ImageOps, UnidentifiedImageError

    expected = f"{called}: expected a PNG or JPEG picture"
    if os.path.isdir(path):
        raise DataError(f"{expected}, got a folder")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's own bomb warning: the limit below is stricter
        try:
            with Image.open(path, formats=("PNG", "JPEG")) as file:
                if file.width * file.height > MAX_PIXELS:
                    raise DataError(
                        f"{expected} of at most {MAX_PIXELS} pixels, got {file.width}×{file.height}"
                    )
                file.draft(
                    None, (WORKING_SIDE, WORKING_SIDE)
                )  # a JPEG can be decoded at a fraction of its size
                image = _plain(ImageOps.exif_transpose(file))
                return image.reduce(-(-max(image.size) // WORKING_SIDE))
        except DataError:
            raise
        except FileNotFoundError as error:
            raise DataError(f"{expected}, got no file of that name") from error
        except UnidentifiedImageError as error:
            raise DataError(f"{expected}, got something else") from error
        except Exception as error:  # a damaged file can raise nearly anything inside a decoder
            raise DataError(f"{expected}, got one that cannot be read ({error})") from error


def _plain(image: Image) -> Image:
    """The same picture in one of four modes that can be averaged: L, RGB, RGBA, or I (16 bits of grey)."""
    if image.has_transparency_data:
        return image.convert("RGBA")
    if image.mode in ("L", "RGB"):
        return image
    if image.mode.startswith("I"):
        return image.convert("I")
    return image.convert("L" if image.mode == "1" else "RGB")


def _pixels(image: Image, called: str) -> Floats:
    """The picture as numbers from 0 (black) to 1 (white), (H, W, channels), with nothing transparent."""
    pixels = np.asarray(image, np.float64) / (65535 if image.mode == "I" else 255)
    if image.mode != "RGBA":
        return np.atleast_3d(pixels)  # (H, W, C)
    colours, opacity = pixels[..., :3], pixels[..., 3:]
    if opacity.max() < LEAST_CONTRAST:
        raise DataError(f"{called}: expected a picture of a digit, got one that is transparent all over")
    solid = colours[opacity[..., 0] >= 0.5 * opacity.max()]  # (M, 3)
    if solid.mean(axis=1).std() > 0.1:  # the digit is in the colours: paper goes on to the edges
        paper = np.median(solid, axis=0)
    else:  # the digit is in the opacity: paper is black if it is light, and white if it is dark
        paper = np.full(3, float(solid.mean() < 0.5))
    return colours * opacity + paper * (1 - opacity)


def _ink(pixels: Floats, called: str) -> Floats:
    """How much ink there is at each pixel, (H, W) from 0 to 1, whichever of ink and paper is the darker."""
    difference, is_paper = _minus_paper(pixels)
    # Colours between paper and ink lie on a line: its direction is what the differences have in common.
    _, axes = np.linalg.eigh(np.einsum("hwc,hwd->cd", difference, difference))
    along = difference @ axes[:, -1]  # (H, W)
    along *= np.sign((along**3).sum()) or 1.0  # ink is the side that goes further
    noise = 1.4826 * float(np.median(np.abs(along[is_paper]))) if is_paper.any() else 0.0
    peak = np.percentile(along, 99.9)
    full = np.percentile(along[along >= 0.5 * peak], 90)
    if full < max(LEAST_CONTRAST, LEAST_SIGNAL * noise):
        raise DataError(
            f"{called}: expected a digit that stands out from its background, got a blank picture"
        )
    floor = 2 * noise
    return np.clip((along - floor) / (full - floor), 0, 1)


def _minus_paper(pixels: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """What differs from the paper (H, W, C), and where the paper is (H, W).

    The paper's colour is a parabola over the picture, which follows a lamp's light. It is fitted to the
    border, which a digit seldom reaches, then to everything that agrees with that.
    """
    height, width = pixels.shape[:2]
    y, x = np.meshgrid(np.linspace(-1, 1, height), np.linspace(-1, 1, width), indexing="ij")
    terms = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=-1)  # (H, W, 6)
    ring = max(1, min(height, width) // 20)
    border = np.ones((height, width), bool)
    border[ring:-ring, ring:-ring] = False

    difference = pixels - np.median(pixels[border], axis=0)
    is_paper = border
    for candidates in (border, border, border | True, border | True):
        distance = np.sqrt((difference**2).mean(axis=-1))  # (H, W)
        spread = 1.4826 * np.median(distance[is_paper])
        is_paper = candidates & (distance <= max(2.5 * spread, 0.02))
        A, b = terms[is_paper], pixels[is_paper]  # (M, 6), (M, C)
        # A little ridge keeps the curved terms at 0 where the paper seen is too little to tell.
        ridge = len(A) * 1e-3 * np.diag([0, 1, 1, 1, 1, 1])
        coefficients = np.linalg.solve(A.T @ A + ridge, A.T @ b)  # (6, C)
        difference = pixels - terms @ coefficients
    return difference, is_paper


def _without_specks(ink: Floats) -> Floats:
    """The ink without what is no digit: dust, noise, and the desk or the frame around the paper."""
    labels = _components(ink > 0.25)
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    border = np.concatenate([labels[0], labels[-1], labels[1:-1, 0], labels[1:-1, -1]])
    along_border = np.bincount(border, minlength=len(sizes))
    inside = np.where(along_border < EDGE * border.size, sizes, 0)
    if inside.max() >= SPECK * sizes.max():  # else the digit itself fills the picture
        sizes = inside
    kept = (sizes > 0) & (sizes >= SPECK * sizes.max())
    near = kept[labels]
    reach = max(2, max(ink.shape) // 50)  # the soft edge of what is kept
    for axis in (0, 1):
        padded = np.pad(near, [(reach, reach) if side == axis else (0, 0) for side in (0, 1)])
        near = np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1, axis).any(axis=-1)
    return ink * near


def _components(mask: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Number the connected groups of True, eight neighbours each, from 1; 0 is outside."""
    padded = np.pad(mask, 1)
    width = padded.shape[1]
    waiting = set(np.flatnonzero(padded).tolist())
    steps = (-width - 1, -width, -width + 1, -1, 1, width - 1, width, width + 1)
    labels = np.zeros(padded.size, np.intp)
    number = 0
    while waiting:
        number += 1
        group = [waiting.pop()]
        for pixel in group:  # grows while it is walked
            neighbours = [pixel + step for step in steps if pixel + step in waiting]
            waiting.difference_update(neighbours)
            group += neighbours
        labels[group] = number
    return labels.reshape(padded.shape)[1:-1, 1:-1]


def _dilated(image: Floats, radius: int) -> Floats:
    """The largest value within a disc around each pixel."""
    height, width = image.shape
    padded = np.pad(image, radius)
    result = np.zeros_like(image)
    for dy in range(-radius, radius + 1):
        for dx in range(-radius, radius + 1):
            if dy * dy + dx * dx <= radius * radius + 1:
                top, left = radius + dy, radius + dx
                np.maximum(result, padded[top : top + height, left : left + width], out=result)
    return result


def _crop(ink: Floats) -> Floats:
    """The smallest rectangle that holds the ink."""
    rows, columns = np.flatnonzero(ink.max(axis=1) > 0.2), np.flatnonzero(ink.max(axis=0) > 0.2)
    return ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _thickened(ink: Floats) -> Floats:
    """Strokes that would nearly vanish at MNIST's size, drawn again with its pen."""
    # The edge of a stroke of width w and length L is 2L long, and its area is wL.
    edge = np.hypot(np.diff(np.pad(ink, 1), axis=0)[:, :-1], np.diff(np.pad(ink, 1), axis=1)[:-1]).sum()
    width = 2 * ink.sum() / edge * BOX / max(ink.shape)
    if width >= THIN:
        return ink
    fine = _resized(ink, BOX * FINE)
    radius = max(1, round((PEN - width) / 2 * FINE))
    return _dilated(np.pad(fine / fine.max(), radius), radius)


def _resized(image: Floats, side: int) -> Floats:
    """The image at another size, its longer side as given; averaged, so that no stroke is skipped."""
    from PIL import Image

    scale = side / max(image.shape)
    height, width = (max(1, round(length * scale)) for length in image.shape)
    picture = Image.fromarray(image.astype(np.float32))
    resized = picture.resize((width, height), Image.Resampling.BICUBIC)
    return np.clip(np.asarray(resized, np.float64), 0, 1)


def _fitted(ink: Floats) -> Floats:
    """The digit with its longer side at 20, its ink up to 1 again."""
    small = _resized(ink, BOX)
    return small / small.max()


def _centred(digit: Floats) -> Floats:
    """The digit on 28×28, its centre of mass as near to pixel (14, 14) as whole pixels allow."""
    image = np.zeros((SIDE, SIDE))
    corner = []
    for axis, length in enumerate(digit.shape):
        mass = digit.sum(axis=1 - axis)
        centre = float(mass @ np.arange(length)) / float(mass.sum())
        corner.append(min(max(round(SIDE / 2 - centre), 0), SIDE - length))
    top, left = corner
    image[top : top + digit.shape[0], left : left + digit.shape[1]] = digit
    return image
