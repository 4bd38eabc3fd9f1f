"""From reconstruction to verdict: error maps, reductions, threshold rules."""
