"""The MNIST report's network in Keras, timed in `fit` alone; runs in an environment of its own.

python keras_training.py FOLDER EPOCHS BATCH DTYPE_POLICY

FOLDER holds training.npy and validation.npy, pictures (N, H, W), uint8. Those of further files,
test-NAME.npy, are rebuilt afterwards, and the result holds the cross-entropy of each.
"""

import json
import os
import sys
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from keras_report import network

folder, policy = Path(sys.argv[1]), sys.argv[4]
epochs, batch = map(int, sys.argv[2:4])
keras.mixed_precision.set_dtype_policy(policy)
keras.utils.set_random_seed(0)


def pictures(path: Path) -> np.ndarray:
    return np.load(path)[..., None].astype("float32") / 255


class Epochs(keras.callbacks.Callback):
    """Keeps what each epoch took, its validation included."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: list[float] = []

    def on_epoch_begin(self, epoch, logs=None):
        self.began = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        self.seconds.append(time.perf_counter() - self.began)


training, validation = pictures(folder / "training.npy"), pictures(folder / "validation.npy")
model = network()
model.compile(optimizer="adam", loss="binary_crossentropy")
# The graph is traced on a few batches first: its compilation is not the training's speed.
few = training[: 4 * batch]
model.fit(few, few, epochs=1, batch_size=batch, verbose=0, validation_data=(few, few))

watch = Epochs()
started = time.perf_counter()
model.fit(
    training,
    training,
    epochs=epochs,
    batch_size=batch,
    shuffle=True,
    validation_data=(validation, validation),
    verbose=0,
    callbacks=[watch],
)
result = {"seconds": time.perf_counter() - started, "epochs": watch.seconds}
for path in sorted(folder.glob("test-*.npy")):
    seen = pictures(path)
    rebuilt = np.clip(model.predict(seen, batch_size=1_000, verbose=0), 1e-7, 1 - 1e-7)
    errors = -(seen * np.log(rebuilt) + (1 - seen) * np.log(1 - rebuilt)).mean(axis=(1, 2, 3))
    result[path.stem] = errors.astype(float).tolist()
print(json.dumps(result))
