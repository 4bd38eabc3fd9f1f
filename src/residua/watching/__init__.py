"""Pictures scored as they arrive, in a folder or from a camera: each of them once."""
