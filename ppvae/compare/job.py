"""The main job: one pair trained under many estimators, all judged by the same measure."""

from __future__ import annotations

import math
import os
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path

import pyro.infer
import xarray as xr

from ppvae.compare.comparison import Comparison, assembled
from ppvae.compare.measure import HeldOut, measured
from ppvae.compare.plan import Entry, Length, Maker, entries
from ppvae.compare.progress import RunsProgress
from ppvae.data import Data
from ppvae.diagnose import NotFiniteError
from ppvae.fit import fit
from ppvae.generate import sample
from ppvae.run import Run

__all__ = ["compare"]

_WARM_UP_STEPS = 5
_SAMPLES = 25
