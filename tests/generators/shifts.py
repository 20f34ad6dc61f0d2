"""How far a picture was moved: an oracle that knows nothing of how it was done."""

from __future__ import annotations

import numpy as np


def recovered_shift(rest: np.ndarray, moved: np.ndarray) -> np.ndarray:
    """The (right, down) by which a Fourier shift of one picture gives the middle of the other, by least squares."""
    inside = np.hanning(len(rest))[:, None] * np.hanning(len(rest))
    margin = len(rest) // 2  # mirrored, so that the Fourier series finds no edge
    mirrored = np.pad(rest, margin, mode="symmetric")
    waves = 2j * np.pi * np.fft.fftfreq(len(mirrored))
    fx, fy = waves[None, :], waves[:, None]

    def back(spectrum: np.ndarray) -> np.ndarray:
        return np.fft.ifft2(spectrum).real[margin:-margin, margin:-margin] * inside

    shift = np.zeros(2)
    for _ in range(6):
        spectrum = np.fft.fft2(mirrored) * np.exp(-(fx * shift[0] + fy * shift[1]))
        slopes = np.stack([back(-fx * spectrum).ravel(), back(-fy * spectrum).ravel()], -1)
        shift += np.linalg.lstsq(slopes, (moved * inside - back(spectrum)).ravel(), rcond=None)[0]
    return shift
