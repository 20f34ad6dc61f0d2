"""Recognizers of micro-expressions: their inputs, training and predictions."""
