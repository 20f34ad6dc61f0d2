"""Measures on the frames of a set: did they come out as planned?"""
