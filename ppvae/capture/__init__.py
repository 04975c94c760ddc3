"""A step written down once and run without the Python around it, or compiled."""

from ppvae.capture.captured import Captured
from ppvae.capture.shared import MODES, Shared

__all__ = ["MODES", "Captured", "Shared"]
