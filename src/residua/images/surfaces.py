"""Generated pictures of a machined plate, sound and with defects, and where each defect lies.

The part is a brushed plate with a lathe-turned face, four rivets, a printed scale and a printed
name. Sound pictures differ as those of one camera over one line do: exposure, direction of the
light, place of the part and of the print, grain. A defective picture is a sound one with a
scratch, a stain, a dent or a misprint added, so the mask is the set of pixels that it changed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from residua.errors import ConfigurationError

# float32 when run; a product with a Python float counts as float64 to a type checker alone.
Plane = NDArray[np.floating[Any]]

GOOD = "good"
DEFECTS = ("scratch", "stain", "dent", "misprint")
MIN_SURFACE = 16
MASK_LEVELS = 5
"""Grey levels (of 255) by which a pixel must have changed to belong to the mask."""

_INK_SCALE = 3
_LETTER_WIDTH, _LETTER_HEIGHT = 4, 6
# The letters of the printed name as polylines on a 4 x 6 grid: drawn here rather than set in a
# font, so that the same seed gives the same bytes whatever fonts the machine has.
_LETTERS = (
    (((0, 6), (0, 0), (3, 0), (4, 1), (4, 2), (3, 3), (0, 3)), ((2, 3), (4, 6))),
    (((4, 0), (0, 0), (0, 6), (4, 6)), ((0, 3), (3, 3))),
    (
        (
            (4, 1),
            (3, 0),
            (1, 0),
            (0, 1),
            (0, 2),
            (1, 3),
            (3, 3),
            (4, 4),
            (4, 5),
            (3, 6),
            (1, 6),
            (0, 5),
        ),
    ),
    (((2, 0), (2, 6)),),
    (((0, 0), (0, 6), (3, 6), (4, 5), (4, 1), (3, 0), (0, 0)),),
    (((0, 0), (0, 5), (1, 6), (3, 6), (4, 5), (4, 0)),),
    (((0, 6), (2, 0), (4, 6)), ((1, 4), (3, 4))),
)


class Surfaces(NamedTuple):
    """Generated pictures with their classes and masks; the sound ones come first."""

    images: NDArray[np.uint8]
    """(N, H, W), or (N, H, W, 3) in colour."""
    labels: list[str]
    """`good`, `scratch`, `stain`, `dent` or `misprint`, one for each picture."""
    masks: NDArray[np.bool_]
    """(N, H, W): True where the defect changed the picture."""


def generate_surfaces(
    n_normal: int,
    n_defective: int,
    *,
    size: tuple[int, int] = (128, 128),
    seed: int = 0,
    channels: int = 1,
    stream: int = 0,
) -> Surfaces:
    """Generate pictures of a machined, printed plate, with and without defects.

    Picture i of a kind depends on ``seed``, ``stream``, ``size``, ``channels`` and i alone: the
    first ten of a thousand are the same bytes as the ten of ten.

    Parameters
    ----------
    n_normal, n_defective : int
        Number of sound and of defective pictures, each 0 or more. The defects take turns:
        scratch, stain, dent, misprint, from barely visible to obvious.
    size : (int, int), default (128, 128)
        Rows and columns in pixels, each at least 16.
    seed : int, default 0
        0 or more.
    channels : {1, 3}, default 1
        Grey or RGB.
    stream : int, default 0
        0 or more. Another stream gives other pictures from the same seed: the test pictures
        never repeat those of training.

    Returns
    -------
    Surfaces
        ``images`` uint8 of shape (N, H, W) or (N, H, W, 3), ``labels`` and boolean ``masks`` of
        shape (N, H, W): the pixels that differ by more than 5 grey levels (in any channel) from
        the same picture without its defect. The mask of a defective picture is never empty.

    Raises
    ------
    ConfigurationError
        A count, size, seed or number of channels outside its range.

    Examples
    --------
    >>> images, labels, masks = generate_surfaces(2, 1, size=(64, 96))
    >>> images.shape, labels, [bool(mask.any()) for mask in masks]
    ((3, 64, 96), ['good', 'good', 'scratch'], [False, False, True])
    """
    height, width = _checked_size(size)
    for what, value in (
        ("n_normal", n_normal),
        ("n_defective", n_defective),
        ("seed", seed),
        ("stream", stream),
    ):
        if value < 0:
            raise ConfigurationError(f"{what} is {value}; it must be 0 or more")
    if channels not in (1, 3):
        raise ConfigurationError(f"channels is {channels}; surfaces are grey (1) or RGB (3)")

    plate = _Plate(height, width)
    n = n_normal + n_defective
    images = np.empty((n, height, width, channels), np.uint8)
    masks = np.zeros((n, height, width), np.bool_)
    labels = [GOOD] * n_normal + [DEFECTS[j % len(DEFECTS)] for j in range(n_defective)]
    for i, label in enumerate(labels):
        key = (stream, 0, i) if i < n_normal else (stream, 1, i - n_normal)
        rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key))
        sound = _photograph(plate, rng, channels)
        if label == GOOD:
            images[i] = sound.develop(sound.part)
        else:
            images[i], masks[i] = _with_defect(sound, label, rng)
    return Surfaces(images[..., 0] if channels == 1 else images, labels, masks)


def _checked_size(size: tuple[int, int]) -> tuple[int, int]:
    height, width = size
    if min(height, width) < MIN_SURFACE:
        raise ConfigurationError(
            f"size is {height} x {width}; surfaces need at least {MIN_SURFACE} pixels a side"
        )
    return height, width


class _Plate:
    """What all pictures of one size share: the coordinates and the artwork of the print."""

    def __init__(self, height: int, width: int) -> None:
        self.height, self.width = height, width
        self.unit = float(min(height, width))
        """Length of the shorter side in pixels: all measures scale with it."""
        self.y, self.x = np.ogrid[:height, :width]
        self.y, self.x = self.y.astype(np.float32), self.x.astype(np.float32)
        self.centre = (width / 2 - 0.5, height * 0.41 - 0.5)
        self.radius = 0.27 * self.unit
        self.artwork = self._draw_artwork()
        columns = np.flatnonzero(self.ink(0, 0, 0).max(axis=0) > 0.1)
        self.ink_columns = (int(columns[0]), int(columns[-1]) + 1)

    def _draw_artwork(self) -> Image.Image:
        """Draw the printed scale and name, white on black, larger than the picture."""
        k = _INK_SCALE
        page = Image.new("L", (self.width * k, self.height * k))
        pen = ImageDraw.Draw(page)
        stroke = max(2, round(0.016 * self.unit * k))
        cx, cy = (c * k for c in self.centre)
        for step in range(-4, 17):  # the scale leaves a gap above the name, as a dial does
            angle = math.radians(180 + 15 * step)
            reach = 1.30 if step % 3 == 2 else 1.22
            inner, outer = (self.radius * f * k for f in (1.13, reach))
            c, s = math.cos(angle), math.sin(angle)
            pen.line(
                (cx + inner * c, cy + inner * s, cx + outer * c, cy + outer * s),
                fill=255,
                width=stroke if step % 3 == 2 else max(1, stroke * 2 // 3),
            )
        cell = 0.0148 * self.unit * k  # one step of the letters' grid
        advance = (_LETTER_WIDTH + 2.2) * cell
        left = cx - (advance * len(_LETTERS) - 2.2 * cell) / 2
        top = self.height * 0.845 * k - _LETTER_HEIGHT * cell / 2
        for i, letter in enumerate(_LETTERS):
            for line in letter:
                points = [(left + i * advance + x * cell, top + y * cell) for x, y in line]
                pen.line(points, fill=255, width=stroke, joint="curve")
        rule = top + (_LETTER_HEIGHT + 2.4) * cell
        pen.line((left, rule, 2 * cx - left, rule), fill=255, width=max(1, stroke // 2))
        return page

    def ink(self, dx: float, dy: float, degrees: float) -> Plane:
        """Coverage of the print, 0 to 1, (H, W); moved by dx, dy pixels and turned."""
        k, (cx, cy) = _INK_SCALE, self.centre
        c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
        # output -> input coordinates of the artwork; turned about the centre of the face
        a, b, d, e = c * k, s * k, -s * k, c * k
        ox = cx * k - a * (cx + dx) - b * (cy + dy)
        oy = cy * k - d * (cx + dx) - e * (cy + dy)
        big = (self.width * k, self.height * k)
        fine = self.artwork.transform(
            big,
            Image.Transform.AFFINE,
            (a / k, b / k, ox, d / k, e / k, oy),
            Image.Resampling.BILINEAR,
        )
        return np.asarray(fine.reduce(k), np.float32) / 255


@dataclass(frozen=True)
class _Part:
    """One part before the camera: everything that a defect can change."""

    metal: Plane
    """Brightness of the bare metal, (H, W), in grey levels."""
    ink: Plane
    """Coverage of the print, (H, W), 0 to 1."""
    stain: Plane
    """Share of the light that a film on the surface takes, (H, W)."""


@dataclass(frozen=True)
class _Photograph:
    """One part as the camera sees it, with the noise of this very exposure."""

    plate: _Plate
    part: _Part
    light: float
    """Direction from which the light falls, in radians."""
    print_at: tuple[float, float, float]
    """Where the print sits: dx, dy in pixels and degrees."""
    exposure: Plane
    """(H, W) factor: the lamp's brightness and its fall-off across the picture."""
    noise: Plane
    """(H, W) grey levels added by the sensor."""
    channels: int

    def develop(self, part: _Part) -> NDArray[np.uint8]:
        """Return the picture of ``part``, (H, W, C), in the same light and with the same noise."""
        lit = part.metal * self.exposure
        planes = []
        for metal, ink, film in _COLOURS[self.channels]:
            plane = lit * metal
            plane += part.ink * (ink * self.exposure - plane) * 0.86
            plane *= 1 - film * part.stain
            plane += self.noise
            planes.append(np.clip(np.rint(plane), 0, 255))
        return np.stack(planes, axis=-1).astype(np.uint8)


# For each channel: tint of the metal, grey level of the ink, how strongly a film takes its light
# (a brown film takes blue first).
_COLOURS = {
    1: ((1.0, 46.0, 0.85),),
    3: ((0.975, 24.0, 0.62), (1.0, 44.0, 0.86), (1.02, 92.0, 1.10)),
}


def _photograph(plate: _Plate, rng: np.random.Generator, channels: int) -> _Photograph:
    """Put a sound part before the camera."""
    unit = plate.unit
    dx, dy = rng.uniform(-0.012, 0.012, 2) * unit
    print_dx, print_dy = rng.normal(0, 0.004, 2) * unit
    print_at = (dx + print_dx, dy + print_dy, float(rng.normal(0, 0.5)))
    light = math.radians(float(rng.normal(-128, 5)))
    metal = _machined_metal(plate, dx, dy, light, rng)
    slope = 0.05 * rng.standard_normal(2)
    exposure = (
        1
        + 0.035 * float(rng.standard_normal())
        + (slope[0] - 0.05) * (plate.x / plate.width - 0.5)
        + (slope[1] - 0.10) * (plate.y / plate.height - 0.5)
    )
    noise = 1.3 * rng.standard_normal((plate.height, plate.width), np.float32)
    return _Photograph(
        plate,
        _Part(metal, plate.ink(*print_at), np.zeros_like(metal)),
        light,
        print_at,
        exposure.astype(np.float32),
        noise,
        channels,
    )


def _machined_metal(
    plate: _Plate, dx: float, dy: float, light: float, rng: np.random.Generator
) -> Plane:
    """Return the brightness of the bare part: brushed plate, turned face, hole and rivets."""
    unit, radius = plate.unit, plate.radius
    x = plate.x - np.float32(plate.centre[0] + dx)
    y = plate.y - np.float32(plate.centre[1] + dy)
    r = np.hypot(x, y)
    # cosine of the angle between the light and the direction from the centre
    facing = (x * np.float32(math.cos(light)) + y * np.float32(math.sin(light))) / (r + 1e-3)

    plain = 148 + _brushed_grain(plate.height, plate.width, rng)

    # Turned metal reflects in two opposite fans, along the light.
    fans = facing**2
    grooves = _ring_noise(r, radius, rng)
    turned = 138 + 74 * fans**3 + 14 * fans + grooves
    turned += 3.0 * np.sin(r * np.float32(2 * math.pi / max(3.0, unit / 32)))
    face = _soft_step(radius - r)
    metal = plain + face * (turned - plain)

    bevel = np.float32(max(0.9, 0.014 * unit))
    metal += 58 * facing * np.exp(-(((r - radius) / bevel) ** 2))
    metal -= 44 * np.exp(-(((r - radius - 2.2 * bevel) / bevel) ** 2))

    hole = np.float32(0.052 * unit)
    metal += _soft_step(hole - r) * (44 - metal)
    metal -= 60 * facing * np.exp(-(((r - hole - bevel) / bevel) ** 2))

    _add_rivets(metal, plate, dx, dy, light)
    return metal


def _add_rivets(metal: Plane, plate: _Plate, dx: float, dy: float, light: float) -> None:
    """Set a domed rivet into each corner, in place."""
    inset, size = 0.105 * plate.unit, max(1.5, 0.042 * plate.unit)
    reach = math.ceil(2 * size + abs(dx) + abs(dy))
    for cy in (inset, plate.height - 1 - inset):
        for cx in (inset, plate.width - 1 - inset):
            rows = slice(max(0, int(cy) - reach), int(cy) + reach + 1)
            cols = slice(max(0, int(cx) - reach), int(cx) + reach + 1)
            x = (plate.x[:, cols] - np.float32(cx + dx)) / np.float32(size)
            y = (plate.y[rows] - np.float32(cy + dy)) / np.float32(size)
            r = np.hypot(x, y)
            dome = 158 + 52 * (x * math.cos(light) + y * math.sin(light))
            patch = metal[rows, cols]
            patch -= 46 * np.exp(-(((r - 1.12) / 0.22) ** 2))
            patch += _soft_step((1 - r) * size) * (dome - patch)


def _soft_step(distance: Plane) -> Plane:
    """Return 1 inside and 0 outside, over one pixel: an edge without stairs."""
    step: Plane = np.clip(distance + np.float32(0.5), 0, 1)
    return step


def _brushed_grain(height: int, width: int, rng: np.random.Generator) -> Plane:
    """Return grain drawn out along the rows, (H, W), in grey levels."""
    long, short = max(6, width // 3), max(2, width // 20)
    walk = np.cumsum(rng.standard_normal((height, width + long), np.float32), axis=1)
    # A difference of a running sum is a moving average: streaks of two lengths.
    long_streaks = (walk[:, long:] - walk[:, :-long]) / np.float32(math.sqrt(long))
    short_streaks = (walk[:, short : short + width] - walk[:, :width]) / np.float32(
        math.sqrt(short)
    )
    grain: Plane = 2.6 * long_streaks + 1.6 * short_streaks
    return grain


def _ring_noise(r: Plane, radius: float, rng: np.random.Generator) -> Plane:
    """Return grooves around the centre that differ from part to part, in grey levels."""
    per_pixel = 2
    profile: Plane = rng.standard_normal(math.ceil(radius * per_pixel) + 3).astype(np.float32)
    profile = 2.4 * (profile[:-1] + profile[1:]) / np.float32(math.sqrt(2))
    return np.take(profile, (r * per_pixel).astype(np.intp), mode="clip")


def _with_defect(
    sound: _Photograph, kind: str, rng: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Add a defect; return the picture and the pixels that it changed."""
    add = {
        "scratch": _scratched,
        "stain": _stained,
        "dent": _dented,
        "misprint": _misprinted,
    }[kind]
    before = sound.develop(sound.part).astype(np.int16)
    severity = float(rng.uniform())
    # One that hides (over the hole, say) is drawn anew, a little stronger.
    while True:
        picture = sound.develop(add(sound, severity, rng))
        mask = np.abs(picture - before).max(axis=-1) > MASK_LEVELS
        if mask.sum() >= 0.0008 * mask.size:
            return picture, mask
        severity = min(1.0, severity + 0.1)


def _place(sound: _Photograph, rng: np.random.Generator) -> tuple[float, float]:
    """Choose where a defect sits: anywhere but in the outermost tenth."""
    return (
        float(rng.uniform(0.1, 0.9)) * sound.plate.width,
        float(rng.uniform(0.1, 0.9)) * sound.plate.height,
    )


def _scratched(sound: _Photograph, severity: float, rng: np.random.Generator) -> _Part:
    """Draw a thin, slightly bent, tapering line with a burr that casts a shadow."""
    plate, part = sound.plate, sound.part
    length = plate.unit * (0.16 + 0.50 * float(rng.uniform()))
    width = plate.unit * (0.006 + 0.010 * severity)
    bend = length * float(rng.normal(0, 0.13))
    angle = float(rng.uniform(0, math.pi))
    cx, cy = _place(sound, rng)

    t = np.linspace(-1, 1, 33)
    along, across = t * length / 2, bend * (1 - t**2) + 0.004 * length * rng.standard_normal(33)
    x = cx + along * math.cos(angle) - across * math.sin(angle)
    y = cy + along * math.sin(angle) + across * math.cos(angle)
    deepest = float(rng.uniform(-0.5, 0.5))
    taper = np.where(t < deepest, (t + 1) / (deepest + 1), (1 - t) / (1 - deepest)) ** 0.7

    groove = _polyline(plate, x, y, np.maximum(width * taper, 0.34))
    side = 0.8 * width + 0.5
    burr = _polyline(
        plate, x - side * math.sin(angle), y + side * math.cos(angle), 0.8 * width * taper + 0.2
    )
    depth = (24 + 84 * severity) * (1 if rng.uniform() < 0.6 else -1)
    # The metal is bare where the print was cut away.
    bared = part.ink * (1 - 0.8 * severity * groove)
    return _Part(part.metal + depth * (groove - 0.55 * burr), bared, part.stain)


def _polyline(
    plate: _Plate, x: NDArray[np.float64], y: NDArray[np.float64], width: NDArray[np.float64]
) -> Plane:
    """Return the coverage, (H, W) from 0 to 1, of a line through x, y of changing width."""
    k = _INK_SCALE
    page = Image.new("L", (plate.width * k, plate.height * k))
    pen = ImageDraw.Draw(page)
    for i in range(len(x) - 1):
        ends = (x[i] * k, y[i] * k, x[i + 1] * k, y[i + 1] * k)
        thick = float(width[i] + width[i + 1]) / 2 * k
        # Thinner than a fine pixel: paler instead.
        pen.line(ends, fill=round(255 * min(1.0, thick)), width=max(1, round(thick)))
    return np.asarray(page.reduce(k), np.float32) / 255


def _stained(sound: _Photograph, severity: float, rng: np.random.Generator) -> _Part:
    """Lay down a film with an irregular outline and a darker rim, as a dried drop leaves."""
    plate, part = sound.plate, sound.part
    cx, cy = _place(sound, rng)
    size = plate.unit * float(rng.uniform(0.07, 0.19))
    stretch = float(np.exp(rng.normal(0, 0.25)))
    x, y = (plate.x - cx) / (size * stretch), (plate.y - cy) / (size / stretch)
    coarse = rng.standard_normal((7, 7)).astype(np.float32)
    ripple = np.asarray(
        Image.fromarray(coarse).resize((plate.width, plate.height), Image.Resampling.BICUBIC)
    )
    inside = 1 - np.hypot(x, y) + 0.33 * ripple * np.exp(-0.5 * (x**2 + y**2))
    body = np.clip(inside / 0.45, 0, 1)
    body = body * body * (3 - 2 * body)
    rim = np.exp(-(((inside - 0.16) / 0.10) ** 2))
    strength = 0.13 + 0.42 * severity
    # One in three is a pale residue instead of a dark one.
    sign = 1.0 if rng.uniform() < 0.67 else -0.6
    film = (sign * strength * (0.8 * body + 0.35 * rim)).astype(np.float32)
    return _Part(part.metal, part.ink, film)


def _dented(sound: _Photograph, severity: float, rng: np.random.Generator) -> _Part:
    """Press in a hollow: its far side catches the light, its near side lies in shadow."""
    plate, part = sound.plate, sound.part
    cx, cy = _place(sound, rng)
    size = plate.unit * float(rng.uniform(0.035, 0.085))
    stretch = float(np.exp(rng.normal(0, 0.18)))
    turn = float(rng.uniform(0, math.pi))
    x, y = plate.x - np.float32(cx), plate.y - np.float32(cy)
    u = (x * math.cos(turn) + y * math.sin(turn)) / (size * stretch)
    v = (y * math.cos(turn) - x * math.sin(turn)) / (size / stretch)
    hollow = np.exp(-0.5 * (u**2 + v**2))
    # Slope of the hollow towards the light; sqrt(e) brings its steepest place to 1.
    slope = (x * math.cos(sound.light) + y * math.sin(sound.light)) / size * hollow
    slope *= math.sqrt(math.e)
    depth = 20 + 62 * severity
    shade = -depth * slope - 0.18 * depth * hollow
    return _Part(part.metal + shade.astype(np.float32), part.ink, part.stain)


def _misprinted(sound: _Photograph, severity: float, rng: np.random.Generator) -> _Part:
    """Spoil the print: a part missing, broken, smeared, doubled, or all of it misplaced."""
    plate, part = sound.plate, sound.part
    unit, (dx, dy, degrees) = plate.unit, sound.print_at
    way = int(rng.integers(5))
    angle = float(rng.uniform(0, 2 * math.pi))
    step_x, step_y = math.cos(angle), math.sin(angle)
    ink: Plane
    if way == 0:  # missing from one place on
        first, last = plate.ink_columns
        share = 0.12 + 0.4 * severity
        start = first + float(rng.uniform(0, 1 - share)) * (last - first)
        edge = np.minimum(plate.x - start, start + share * (last - first) - plate.x)
        kept = 1 - np.clip(edge / (0.02 * unit), 0, 1) * (0.55 + 0.45 * severity)
        ink = part.ink * kept
    elif way == 1:  # broken by streaks without ink
        kept = np.ones_like(part.ink)
        for _ in range(2 + int(4 * severity)):
            off = float(rng.uniform(-0.5, 0.5)) * unit
            at = (plate.x - plate.width / 2) * step_x + (plate.y - plate.height / 2) * step_y
            kept *= 1 - np.exp(-(((at - off) / (0.018 * unit)) ** 2))
        ink = part.ink * kept
    elif way == 2:  # smeared while wet
        ink = part.ink
        reach = (0.03 + 0.06 * severity) * unit
        for i in range(1, 7):
            moved = plate.ink(dx + step_x * reach * i / 6, dy + step_y * reach * i / 6, degrees)
            ink = np.maximum(ink, moved * (0.75 - 0.1 * i))
    elif way == 3:  # printed twice
        reach = (0.022 + 0.03 * float(rng.uniform())) * unit
        again = plate.ink(dx + step_x * reach, dy + step_y * reach, degrees)
        ink = np.maximum(part.ink, again * (0.35 + 0.6 * severity))
    else:  # in the wrong place, a little turned
        reach = (0.022 + 0.05 * severity) * unit
        turned = degrees + float(rng.normal(0, 4))
        ink = plate.ink(dx + step_x * reach, dy + step_y * reach, turned)
    return _Part(part.metal, ink.astype(np.float32), part.stain)
