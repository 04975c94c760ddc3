"""Gradient estimators at fixed parameters: bias, variance, signal-to-noise and cost."""

from ppvae.bench.job import gradients

__all__ = ["gradients"]
