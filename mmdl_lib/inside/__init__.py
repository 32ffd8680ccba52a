"""Looking into a model: which pixels speak for a score, which filters it has."""
