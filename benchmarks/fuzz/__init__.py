"""Bad input made on purpose, and fuzzing of what reads it."""
