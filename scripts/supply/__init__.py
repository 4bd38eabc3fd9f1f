"""What Residua depends on: pinned, hashed, licensed, audited, tried at both ends of its ranges."""
