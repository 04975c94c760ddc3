"""The look at a pair before training, where labels are summed out."""

import torch
from programs import labelled_pair

from ppvae.check import check


def test_a_pair_with_enumerated_labels_passes_the_check():
    pair = labelled_pair()
    for leaf in (pair.logits, pair.weight):
        leaf.requires_grad_()
    report = check(pair.model, pair.guide, torch.randn(5, 4))
    # Where labels stand is no missing to_event, and particles agree whether drawn together or not.
    assert not [problem for problem in report.problems if "site" in problem]
