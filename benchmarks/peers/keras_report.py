"""The MNIST report's network in Keras."""

import keras
from keras import layers


def network() -> keras.Model:
    """Return it with fresh weights, not compiled."""
    return keras.Sequential(
        [
            layers.Input((28, 28, 1)),
            layers.Conv2D(32, 3, activation="relu", padding="same"),
            layers.MaxPooling2D(2),
            layers.Conv2D(64, 3, activation="relu", padding="same"),
            layers.MaxPooling2D(2),
            layers.Conv2D(64, 3, activation="relu", padding="same"),
            layers.UpSampling2D(2),
            layers.Conv2D(32, 3, activation="relu", padding="same"),
            layers.UpSampling2D(2),
            # Keras's guide to mixed precision: the last layer's outputs are float32.
            layers.Conv2D(1, 3, activation="sigmoid", padding="same", dtype="float32"),
        ]
    )
