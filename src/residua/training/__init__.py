"""Training: settings, feeding, Lightning's loop, and the checks on what came of it."""
