"""GANimation: a trained network that repaints a face by AUs. Needs torch."""
