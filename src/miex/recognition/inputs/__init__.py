"""Inputs of recognizers: one file for each. Copy `flow` to add another."""
