"""Inference on similarities: resamples, variances, tests, mixtures of models."""
