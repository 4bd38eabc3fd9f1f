"""A network given layer by layer, trained in Keras on JPEG files, in an environment of its own.

python keras_colour.py JOB

JOB is a JSON file: the layers, the files that train and validate, size, epochs and batch size. The
result holds the seconds of the whole, decoding by tf.data included, those of training alone from
pictures in memory, and the number of trainable weights.
"""

import json
import os
import sys
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import tensorflow as tf
from keras import layers

job = json.loads(Path(sys.argv[1]).read_text())
size, batch, epochs = job["size"], job["batch"], job["epochs"]
keras.mixed_precision.set_dtype_policy(job["policy"])
keras.utils.set_random_seed(0)


def network() -> keras.Model:
    x = picture = layers.Input((size, size, 3))
    for layer in job["layers"]:
        x = applied(layer, x)
    return keras.Model(picture, layers.Activation("sigmoid", dtype="float32")(x))


def applied(layer, x):
    kind = layer["kind"]
    if kind == "conv":
        # Its "same" padding is of another side than PyTorch's where the stride is 2.
        x = layers.Conv2D(
            layer["out"],
            layer["kernel"],
            layer["stride"],
            padding="same",
            use_bias=layer["bias"],
        )(x)
    elif kind == "norm":
        x = layers.BatchNormalization(momentum=0.9)(x)
    elif kind == "leaky":
        x = layers.LeakyReLU(negative_slope=layer["slope"])(x)
    elif kind == "dense":
        x = layers.Dense(layer["out"], use_bias=layer["bias"])(layers.Flatten()(x))
    elif kind == "grid":
        x = layers.Reshape(layer["shape"])(x)
    elif kind == "unfold":
        x = layers.Lambda(tf.nn.depth_to_space, arguments={"block_size": layer["by"]})(x)
    else:
        raise SystemExit(f"no layer here is called {kind!r}")
    return x


def decoded(files):
    """As TensorFlow's guide writes it: read in parallel, kept in memory."""

    def read(path):
        picture = tf.io.decode_jpeg(tf.io.read_file(path), channels=3)
        return tf.image.resize(picture, (size, size)) / 255

    return tf.data.Dataset.from_tensor_slices(files).map(read, tf.data.AUTOTUNE).cache()


def batches(pictures, *, shuffled: bool):
    if shuffled:
        pictures = pictures.shuffle(len(job["training"]))
    return pictures.batch(batch).map(lambda x: (x, x)).prefetch(tf.data.AUTOTUNE)


model = network()
model.compile(optimizer=keras.optimizers.Adam(5e-3), loss="mse")
# The graph is traced on one batch first: its compilation is not the training's speed.
few = batches(decoded(job["training"][:batch]), shuffled=True)
model.fit(few, epochs=1, verbose=0, validation_data=few)

started = time.perf_counter()
training, validation = decoded(job["training"]), decoded(job["validation"])
model.fit(
    batches(training, shuffled=True),
    epochs=epochs,
    verbose=0,
    validation_data=batches(validation, shuffled=False),
)
whole = time.perf_counter() - started

kept = batches(training, shuffled=True)  # decoded by now
started = time.perf_counter()
model.fit(kept, epochs=epochs, verbose=0)
alone = time.perf_counter() - started
weights = sum(int(w.shape.num_elements()) for w in model.trainable_weights)
print(json.dumps({"whole": whole, "alone": alone, "weights": weights}))
