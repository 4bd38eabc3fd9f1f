"""What Residua depends on: pinned, hashed, licensed, audited, and tried at both ends of its ranges."""
