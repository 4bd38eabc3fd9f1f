"""The engines that compute a saved model's scores: ONNX Runtime, OpenVINO, torch."""
