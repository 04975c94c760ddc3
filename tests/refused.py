"""Files with one fault each, and what a refused command must look like."""

import pickle
from pathlib import Path

import numpy as np
import pytest

from ppvae.cli import main

PAIR = """
from torch import nn
from ppvae import Experiment
from ppvae.data import Data
from ppvae.distributions import BernoulliLikelihood, StandardNormal
from ppvae.guides import GaussianGuide
from ppvae.models import VAE
from ppvae.networks import ConvDecoder

def {name}(data: Data, width: int = 2) -> Experiment:
    decoder = {decoder}
    model = VAE(decoder, StandardNormal(width), BernoulliLikelihood())
    return Experiment(model, {guide}, epochs=1)
"""
LINEAR = "nn.Linear(width, data.data_dim)"
GUIDE = "GaussianGuide(nn.Linear(data.data_dim, 2 * width))"
OTHER_SITE = """
import pyro, pyro.distributions as dist
def other(x):
    with pyro.plate("data", len(x)):
        pyro.sample("code", dist.Normal(x.new_zeros(len(x), 2), 1.0).to_event(1))
"""
FLOW = "FlowGuide(nn.Linear(data.data_dim, 10), [conditional_planar(3, 4, [5])], 4)"
FLOW_IMPORTS = """
from pyro.distributions.transforms import conditional_planar
from ppvae.guides import FlowGuide
"""


def pair_text(name: str = "mine", decoder: str = LINEAR, guide: str = GUIDE) -> str:
    return PAIR.format(name=name, decoder=decoder, guide=guide)


FILES = {
    "good.py": pair_text(),
    "conv28.py": pair_text(decoder="ConvDecoder(width, (1, 28, 28))"),
    "flow3.py": FLOW_IMPORTS + pair_text(guide=FLOW),
    "uneven.py": FLOW_IMPORTS + pair_text(guide=FLOW.replace("10", "8")),
    "levels.py": "from ppvae.distributions import DiscretizedLogisticLikelihood\n"
    + pair_text(decoder="nn.Linear(width, 2 * data.data_dim)").replace(
        "BernoulliLikelihood())", "DiscretizedLogisticLikelihood())"
    ),
    "latents.py": OTHER_SITE + pair_text(guide="other"),
    "syntax.py": "def mine(data:\n",
    "raises.py": "import nowhere_to_be_found\n",
    "two.py": pair_text("one") + pair_text("two"),
    "none.py": "x = 1\n",
    "taken.py": pair_text().replace("width", "epochs"),
    "undefaulted.py": pair_text().replace("width: int = 2", "width: int"),
    "bound.py": "class Bound: pass\n",
    "words.txt": "no data\n",
}


def write_faulty_files() -> None:
    """Write experiment and data files into the current folder."""
    for name, text in FILES.items():
        Path(name).write_text(text)
    x = np.random.default_rng(0).random((20, 4))
    np.save("grey.npy", x)
    x[3, 2] = np.nan
    np.save("nan.npy", x)
    levels = np.arange(80).reshape(20, 4) / 255
    np.save("above.npy", levels + (levels == levels.max()) * 1.0)
    np.save("between.npy", levels + (levels == levels.max()) * 0.5 / 255)
    np.save("six.npy", np.zeros((20, 1, 6, 6)))
    np.save("objects.npy", np.array([{"run": "me"}]), allow_pickle=True)
    Path("pickled.pt").write_bytes(pickle.dumps({"x": print}))
    Path("file").write_text("a file is no folder")


def tree(folder: Path) -> dict[str, bytes | None]:
    paths = [path for path in folder.rglob("*") if "__pycache__" not in path.parts]
    return {str(path): path.read_bytes() if path.is_file() else None for path in paths}


def refusal(command: str, capsys: pytest.CaptureFixture[str]) -> str:
    """The one line that a command is refused with, which leaves no trace on the disk."""
    before = tree(Path())
    assert main(command.split()) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1, lines
    assert lines[0].startswith("ppvae: ")
    assert tree(Path()) == before
    return lines[0]
