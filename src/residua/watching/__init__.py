"""Pictures scored as they arrive, in a folder or from a camera: each of them once."""

WEBHOOK_SECRET = "RESIDUA_WEBHOOK_SECRET"
CAMERA_LOGIN = "RESIDUA_CAMERA_LOGIN"
"""Variables of the environment; no program that is run gets to see them."""
