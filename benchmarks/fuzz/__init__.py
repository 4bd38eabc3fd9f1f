"""Bad input made on purpose, and fuzzing of what reads it: pictures, bundles, bodies of requests."""
