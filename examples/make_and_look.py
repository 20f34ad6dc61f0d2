"""Make a set and look at it. Without photos of your own the faces are virtual relatives of one free photo."""

import miex

if __name__ == "__main__":
    made = miex.synthesize("mie-x", ids=40, workers=2)  # faces="my-photos" takes yours
    print(made)
    sample = made.select(label="surprise")[0]
    print(sample)
    sample.show()  # onset and apex, flickering; mie-x/gallery.html shows many
    made.export("mie-x-images", to="folder")  # every frame as an image file
