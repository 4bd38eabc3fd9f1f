"""Residua finds the images that don't belong."""

__version__ = "0.1.0"
