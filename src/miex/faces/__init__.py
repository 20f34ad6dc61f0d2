"""Faces: photos in, landmarks, pose, quality and aligned crops out."""

VERSION = 1  # grows whenever aligning or virtual identities give other pixels; part of every plan's digest
