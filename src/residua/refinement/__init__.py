"""Refinement: a search for better settings that never sees a test picture or a label."""
