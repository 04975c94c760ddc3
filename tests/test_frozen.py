"""A network of which nothing is trained stays as it is while the rest of its pair learns."""

import torch
from programs import binary_rows, binary_vae
from torch import nn

import ppvae
from ppvae import Pair
from ppvae.data import from_arrays


def test_a_frozen_model_is_not_switched_to_training():
    model, guide = binary_vae()
    model.requires_grad_(False)
    pair = Pair(model, guide)
    pair.train(True)
    assert not model.training and not model.decoder.training and guide.training
    model.requires_grad_(True)
    pair.train(True)
    assert model.training and model.decoder.training


def test_a_frozen_part_keeps_its_running_statistics():
    model, guide = binary_vae()
    norm = nn.BatchNorm1d(6)
    guide.encoder = nn.Sequential(norm, guide.encoder).requires_grad_(True)
    norm.requires_grad_(False)
    pair = Pair(model, guide)
    pair.train(True)
    assert not norm.training and guide.encoder.training


def test_a_guide_is_trained_around_a_frozen_model():
    model, guide = binary_vae()
    before = {name: p.clone() for name, p in model.requires_grad_(False).named_parameters()}
    first = {name: p.clone() for name, p in guide.named_parameters()}
    ppvae.fit((model, guide), from_arrays({"x": binary_rows(20)}), steps=3, progress=False)
    assert all(torch.equal(p, before[name]) for name, p in model.named_parameters())
    assert not any(torch.equal(p, first[name]) for name, p in guide.named_parameters())
