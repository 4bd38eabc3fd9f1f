"""Methods of anomaly detection side by side: the same pictures, the same figures, intervals."""
