"""GANimation: a trained network that repaints a face by AUs. Its files need torch, except those of the manifest."""
