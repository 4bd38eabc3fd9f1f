"""The threshold rules, by what they rest on; `residua.scoring.thresholds` names them all."""
