"""What the files of a saved model must be before anything computes with them.

A bundle may come from a stranger, who writes checksums that fit. What is read here is read by these
modules alone, within limits, before ONNX Runtime or torch sees it.
"""
