"""Which resampling moves a face by a fraction of a pixel, and blurs no frame of a pair more than the other.

    python -m benchmarks.resampling [--out FILE]

A band-limited texture is known everywhere (a sum of waves), so the truth needs no resampling. Each method moves it and
is asked for the recovered shift over the true one (gain; least squares on Fourier shifts of the rest frame) and for the
contrast that is left of the rest frame's at a pattern of four pixels' period, at the worst shift (1: no blur).
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from scipy import ndimage

from benchmarks.machine import milliseconds
from benchmarks.page import page, parser

SIZE = 128
SHIFTS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0)
WAVES = 300
Resampler = Callable[[np.ndarray, np.ndarray], np.ndarray]  # positions in pixels, x and y → picture


class Texture:
    """Waves of random direction and phase; amplitudes fall as 1/frequency, up to 0.35 cycles a pixel."""

    def __init__(self, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        length, angle = rng.uniform(0.01, 0.35, WAVES), rng.uniform(0, 2 * np.pi, WAVES)
        self.fx, self.fy = length * np.cos(angle), length * np.sin(angle)
        self.phase = rng.uniform(0, 2 * np.pi, WAVES)
        self.strength = 0.02 / length
        self.strength *= 45 / np.sqrt((self.strength**2).sum() / 2)

    def __call__(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Gray levels at the points of a grid: columns x, rows y."""
        along = np.exp(2j * np.pi * np.outer(self.fx, x)) * (self.strength * np.exp(1j * self.phase))[:, None]
        down = np.exp(2j * np.pi * np.outer(self.fy, y))
        return 128 + np.einsum("wy,wx->yx", down, along).real


def stripes(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Four pixels' period, at the phase at which all its energy lies in the samples."""
    return np.broadcast_to(128 + 100 * np.cos(np.pi / 2 * x + np.pi / 4), (len(y), len(x)))


def resamplers(picture: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> dict[str, Resampler]:
    """Every method, given the picture's samples in 8 bits (or, unrounded, in 1/256 of a level)."""

    def oversampled(times: int, unit: int) -> Resampler:
        line = np.arange(times * (SIZE - 1) + 1) / times
        kind = np.uint8 if unit == 1 else np.uint16
        samples = np.clip(np.rint(picture(line, line) * unit), 0, np.iinfo(kind).max).astype(kind)

        def move(x: np.ndarray, y: np.ndarray) -> np.ndarray:
            where = np.stack(np.meshgrid(x * times, y * times), -1).astype(np.float32)
            moved = cv2.remap(samples, where, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
            return cv2.convertScaleAbs(moved, alpha=1 / unit)

        return move

    line = np.arange(SIZE)
    single = np.clip(np.rint(picture(line, line)), 0, 255).astype(np.uint8)

    def opencv(kernel: int) -> Resampler:
        def move(x: np.ndarray, y: np.ndarray) -> np.ndarray:
            where = np.stack(np.meshgrid(x, y), -1).astype(np.float32)
            return cv2.remap(single, where, None, kernel, borderMode=cv2.BORDER_REPLICATE)

        return move

    def keys(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return np.clip(np.rint(_keys(y) @ single.astype(float) @ _keys(x).T), 0, 255)

    def spline(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        where = np.meshgrid(y, x, indexing="ij")
        return np.clip(np.rint(ndimage.map_coordinates(single.astype(float), where, order=3, mode="mirror")), 0, 255)

    return {f"bilinear of {n}× samples": oversampled(n, 1) for n in (1, 2, 3, 4)} | {
        "bilinear of 4× samples, unrounded": oversampled(4, 256),
        "OpenCV cubic (a = -0.75)": opencv(cv2.INTER_CUBIC),
        "OpenCV Lanczos 4": opencv(cv2.INTER_LANCZOS4),
        "Keys cubic (a = -0.5)": keys,
        "cubic spline, prefiltered": spline,
    }


def _keys(x: np.ndarray) -> np.ndarray:
    """Weights of the SIZE samples at each position (Keys 1981), [len(x), SIZE]."""
    t = np.abs(np.clip(x, 0, SIZE - 1)[:, None] - np.arange(SIZE))
    weights = np.where(t < 1, 1.5 * t**3 - 2.5 * t**2 + 1, np.where(t < 2, -0.5 * t**3 + 2.5 * t**2 - 4 * t + 2, 0))
    return weights / weights.sum(1, keepdims=True)


def recovered_shift(rest: np.ndarray, moved: np.ndarray) -> float:
    """How far to the right `moved` is moved against `rest`, by least squares on Fourier shifts of `rest`."""
    inside = np.outer(np.hanning(len(rest)), np.hanning(len(rest)))
    margin = len(rest) // 2
    spectrum = np.fft.fft(np.pad(rest, ((0, 0), (margin, margin)), mode="symmetric"), axis=1)
    wave = 2j * np.pi * np.fft.fftfreq(2 * len(rest))
    shift = 0.0
    for _ in range(6):
        turned = spectrum * np.exp(-wave * shift)
        still, slope = (np.fft.ifft(part, axis=1).real[:, margin:-margin] * inside for part in (turned, -wave * turned))
        shift += float((slope * (moved * inside - still)).sum() / (slope * slope).sum())
    return shift


def main(arguments: list[str] | None = None) -> None:
    """Print both tables; there is nothing to choose."""
    options = parser("resampling", __doc__)
    with page("Which resampling moves a face by a fraction of a pixel", options, options.parse_args(arguments)):
        measure()


def measure() -> None:
    """Print the gains, and what is left of contrast."""
    cv2.setNumThreads(1)
    line = np.arange(SIZE, dtype=float)
    inner = slice(16, -16)
    textured, striped = resamplers(Texture()), resamplers(stripes)
    print("Recovered shift over the true one:\n")
    print("| shift, px | " + " | ".join(f"{shift:g}" for shift in SHIFTS) + " |\n" + "|---" * (len(SHIFTS) + 1) + "|")
    for name, move in textured.items():
        rest = move(line, line)[inner, inner].astype(float)
        gains = [recovered_shift(rest, move(line - s, line)[inner, inner].astype(float)) / s for s in SHIFTS]
        print(f"| {name} | " + " | ".join(f"{gain:.3f}" for gain in gains) + " |")
    print("\nContrast left of the rest frame's, of four pixels' period, at the worst shift:\n")
    print("| method | contrast left | ms a frame |\n|---|---|---|")
    for name, move in striped.items():
        rest = move(line, line)[inner, inner].astype(float)
        left = min(_amplitude(move(line - s, line)[inner, inner]) / _amplitude(rest) for s in np.arange(0, 1, 0.05))
        print(f"| {name} | {left:.3f} | {milliseconds(lambda move=move: move(line, line)):.2f} |")


def _amplitude(picture: np.ndarray) -> float:
    """Amplitude of the wave of four pixels' period along the rows."""
    rows = picture.astype(float).mean(0)
    return float(np.abs(((rows - rows.mean()) * np.exp(0.5j * np.pi * np.arange(len(rows)))).mean()))


if __name__ == "__main__":
    main()
