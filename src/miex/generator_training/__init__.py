"""Train GANimation on faces whose AUs are known."""
