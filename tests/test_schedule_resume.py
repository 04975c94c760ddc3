"""Schedules and multipliers survive a checkpoint, a resume and a failure; who reports them."""

import pytest
import torch
from test_schedule_conduct import DATA, warm_up
from trainings import assert_same_history, assert_same_values, line_pair, quiet
