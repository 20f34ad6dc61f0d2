"""Move one face by hand: pull up the lip corners, lower the left brow."""

from pathlib import Path

import miex

if __name__ == "__main__":
    photo = min(Path("mie-x-images").rglob("*.png"))  # a frame of the first example; or a photo of your own
    pair = miex.render(photo, {12: 0.3, "L4": 0.4}, out="by-hand")
    print(pair)
    pair.show()
