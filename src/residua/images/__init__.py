"""Pictures in: sources, decoding, preprocessing, data sets and splits."""
