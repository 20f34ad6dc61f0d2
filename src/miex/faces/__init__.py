"""Faces: photos in, landmarks, pose, quality and aligned crops out."""
