"""Advice: what the scores of a set of pictures say about the data and the model."""
