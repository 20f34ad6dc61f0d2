"""What each of the 17 action units does to a face, in a sentence (after FACS, Ekman & Friesen 1978)."""

from __future__ import annotations

from typing import Final

AU_REGIONS: Final[dict[str, tuple[int, ...]]] = {
    "Brows": (1, 2, 4),
    "Eyes": (5, 6, 7, 45),
    "Nose and upper lip": (9, 10),
    "Lip corners": (12, 14, 15, 20),
    "Mouth and chin": (17, 23, 25, 26),
}
AU_DESCRIBED: Final[dict[int, str]] = {
    1: "The inner ends of the brows rise, and wrinkle the middle of the forehead.",
    2: "The outer ends of the brows rise, and arch them.",
    4: "The brows come down and together; furrows may stand between them.",
    5: "The upper lid rises, and shows more of the eye.",
    6: "The cheek rises and narrows the eye from below; wrinkles fan out from its outer corner.",
    7: "The lids tighten, the lower one above all, and narrow the eye.",
    9: "The skin beside the nose is pulled up, and its bridge wrinkles.",
    10: "The middle of the upper lip rises, and the furrow beside the nose deepens.",
    12: "The corner of the lips is pulled up and back, towards the cheekbone.",
    14: "The corner of the lips is pulled inwards and tightens; a dimple may show.",
    15: "The corner of the lips is pulled down.",
    17: "The chin boss rises, and pushes the lower lip up.",
    20: "The lips are stretched sideways, and grow thinner.",
    23: "The lips tighten, and show less of their red.",
    25: "The lips part; the jaw need not move.",
    26: "The jaw drops as it relaxes, and the teeth come apart.",
    45: "The upper lid comes down, and closes the eye.",
}
