"""Features of a frozen pretrained network, which a model may rebuild instead of pixels."""
