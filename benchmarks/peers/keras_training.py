"""The MNIST report's network in Keras, timed in `fit` alone; runs in an environment of its own.

python keras_training.py N_TRAIN N_VALIDATION EPOCHS BATCH
"""

import json
import os
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from keras import layers

n_train, n_validation, epochs, batch = map(int, sys.argv[1:])
images = np.random.default_rng(0).integers(0, 256, (n_train + n_validation, 28, 28, 1), np.uint8)
images = images.astype("float32") / 255
training, validation = images[:n_train], images[n_train:]

model = keras.Sequential(
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
        layers.Conv2D(1, 3, activation="sigmoid", padding="same"),
    ]
)
model.compile(optimizer="adam", loss="binary_crossentropy")
# The graph is traced on a few batches first: its compilation is not the training's speed.
few = training[: 4 * batch]
model.fit(few, few, epochs=1, batch_size=batch, verbose=0, validation_data=(few, few))
started = time.perf_counter()
model.fit(
    training,
    training,
    epochs=epochs,
    batch_size=batch,
    shuffle=True,
    validation_data=(validation, validation),
    verbose=0,
)
print(json.dumps({"seconds": time.perf_counter() - started}))
