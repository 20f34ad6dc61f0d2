"""The face that generators move in tests, unless they want another size."""

from __future__ import annotations

import numpy as np
import pytest

from miex.faces.crop import AlignedFace, CropOptions, align, place_crop

SIZE = 128


@pytest.fixture(scope="session")
def face(astronaut: np.ndarray, astronaut_mesh: np.ndarray) -> AlignedFace:
    return align(astronaut, astronaut_mesh, place_crop(astronaut_mesh, CropOptions(SIZE)), SIZE)
