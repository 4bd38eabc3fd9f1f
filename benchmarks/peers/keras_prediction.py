"""The MNIST report's network in Keras, timed in `predict`; runs in an environment of its own.

python keras_prediction.py PICTURES BATCH DTYPE_POLICY

PICTURES is a file of pictures (N, H, W), uint8; they are brought to float32 beforehand.
"""

import json
import os
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from keras_report import network

pictures, batch, policy = sys.argv[1], int(sys.argv[2]), sys.argv[3]
keras.mixed_precision.set_dtype_policy(policy)
images = np.load(pictures)[..., None].astype("float32") / 255
model = network()
# The graph is traced on a few batches first: its compilation is not the speed.
model.predict(images[: 4 * batch], batch_size=batch, verbose=0)
started = time.perf_counter()
model.predict(images, batch_size=batch, verbose=0)
print(json.dumps({"seconds": time.perf_counter() - started}))
