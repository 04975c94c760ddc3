"""Names of estimators: each makes its estimator and comes back from it."""

import pyro.infer
import pytest
import torch
from programs import binary_rows, binary_vae

from ppvae import ELBO, IWAE, SVI, Renyi, estimators
from ppvae.estimators import gradients
from ppvae.named import ALL, NAMES, estimator_named, name_of, pyro_name
from ppvae.schedules import Schedule

MADE = {
    "elbo": ELBO(),
    "elbo:5": ELBO(5),
    "elbo-kl": ELBO(analytic_kl=True),
    "elbo-kl:3": ELBO(3, analytic_kl=True),
    "iwae:5": IWAE(5),
    "iwae:50": IWAE(50),
    "renyi:0.5:5": Renyi(0.5, 5),
    "renyi:-2:7": Renyi(-2, 7),
    "renyi:0.3333333333333333:5": Renyi(1 / 3, 5),
    "vr-max:7": estimators.VRMax(7),
    "miwae:4:3": estimators.MIWAE(4, 3),
    "piwae:4:3": estimators.PIWAE(4, 3),
    "ciwae:0.2:3": estimators.CIWAE(0.2, 3),
    "tvo:4:3": estimators.TVO(4, 3),
    "tvo-upper:4:3": estimators.UpperTVO(4, 3),
    "cubo:1.5:3": estimators.CUBO(1.5, 3),
    "tail:3": estimators.TailAdaptive(3),
    "rws:3": estimators.ReweightedWakeSleep(3),
    "rws:3+dreg": estimators.ReweightedWakeSleep(3, doubly_reparameterized=True),
    "sleep:3": estimators.ReweightedWakeSleep(3, insomnia=0.0),
    "msc:3": estimators.ScoreClimbing(3),
    "beta:0.5": estimators.BetaELBO(0.5),
    "warm-up:0.2": estimators.BetaELBO(Schedule(0.0, 1.0, fraction=0.2)),
    "capacity:50:8": estimators.CapacityELBO(50, Schedule(0.0, 8.0, fraction=0.5)),
    "free-bits:0.2": estimators.FreeBitsELBO(0.2),
    "constrained:3": estimators.ConstrainedELBO(kl=3.0),
    "m2:10:1:1": estimators.SemiSupervised(10),
    "m2:0.1:0.5:3": estimators.SemiSupervised(0.1, 0.5, of=IWAE(3, expected=True)),
    "elbo+stl": ELBO(gradient=gradients.StickingTheLanding()),
    "elbo:3+score-loo": ELBO(3, gradient=gradients.ScoreFunction(gradients.LeaveOneOut())),
    "elbo+score-all": ELBO(gradient=gradients.ScoreFunction(reparameterize=False)),
    "iwae:3+dreg": IWAE(3, gradient=gradients.DoublyReparameterized()),
    "iwae:3+vimco+expected": IWAE(3, gradient=gradients.VIMCO(), expected=True),
    "renyi:0.5:5+expected": Renyi(0.5, 5, expected=True),
    "Trace_ELBO": pyro.infer.Trace_ELBO(),
    "Trace_ELBO:5": pyro.infer.Trace_ELBO(5, vectorize_particles=True),
    "TraceMeanField_ELBO": pyro.infer.TraceMeanField_ELBO(),
    "TraceGraph_ELBO:5": pyro.infer.TraceGraph_ELBO(5, vectorize_particles=True),
    "TraceEnum_ELBO": pyro.infer.TraceEnum_ELBO(),
    "RenyiELBO:0:5": pyro.infer.RenyiELBO(0, 5, vectorize_particles=True),
    "RenyiELBO:0.5:2": pyro.infer.RenyiELBO(0.5, 2, vectorize_particles=True),
}
# What may be left out, and what it stands for.
SHORT = {
    "elbo:1": "elbo",
    "elbo-kl:1": "elbo-kl",
    "iwae": "iwae:5",
    "renyi": "renyi:0.5:5",
    "renyi:0.25": "renyi:0.25:5",
    "m2": "m2:1:1:1",
    "m2:3": "m2:3:1:1",
    "Trace_ELBO:1": "Trace_ELBO",
    "RenyiELBO": "RenyiELBO:0:5",
}
# Made in Python with settings that no name has.
NAMELESS = {
    "rate": estimators.ConstrainedELBO(kl=3.0, rate=0.5),
    "reconstruction": estimators.ConstrainedELBO(reconstruction=3.0),
    "share of wake": estimators.ReweightedWakeSleep(3, insomnia=0.5),
    "partition": estimators.TVO([0.0, 0.5, 1.0], 3),
    "schedule": estimators.BetaELBO(Schedule(0.0, 1.0, steps=100)),
    "decay": ELBO(gradient=gradients.ScoreFunction(gradients.MovingAverage(0.5))),
    "bound of labels": estimators.SemiSupervised(of=IWAE(5)),
    "draws of a beta": estimators.BetaELBO(0.5, 7),
}
SETTINGS = ("num_particles", "analytic_kl", "alpha", "vectorize_particles")
OWN = """
import ppvae, pyro.infer
class MyBound(ppvae.Estimator):
    def bound(self, terms):
        return terms.log_weight.max(0).values
class MyIWAE(ppvae.IWAE):
    def __init__(self, num_particles=4):
        super().__init__(num_particles)
class MyTrace(pyro.infer.Trace_ELBO):
    pass
class Needy(MyBound):
    def __init__(self, temperature):
        super().__init__()
"""


def settings_of(estimator):
    return {name: getattr(estimator, name) for name in SETTINGS if hasattr(estimator, name)}


@pytest.fixture
def mine(tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    return tmp_path.resolve() / "mine.py"


@pytest.mark.parametrize("name", MADE)
def test_a_name_makes_its_estimator_with_its_settings(name):
    estimator = estimator_named(name)
    assert type(estimator) is type(MADE[name])
    assert settings_of(estimator) == settings_of(MADE[name])


@pytest.mark.parametrize("name", MADE)
def test_the_name_of_an_estimator_is_the_one_that_makes_it(name):
    assert name_of(estimator_named(name)) == name
    assert name_of(MADE[name]) == name


@pytest.mark.parametrize("estimator", NAMELESS.values(), ids=NAMELESS)
def test_an_estimator_that_no_name_makes_is_recorded_whole(estimator):
    assert name_of(estimator) == repr(estimator)


def test_all_names_differ_and_are_whole():
    assert [name_of(estimator_named(name)) for name in ALL] == list(ALL)
    assert len(set(ALL)) == len(ALL) > 20


@pytest.mark.parametrize(("short", "whole"), SHORT.items())
def test_what_is_left_out_of_a_name_is_its_default(short, whole):
    assert name_of(estimator_named(short)) == whole


@pytest.mark.filterwarnings("ignore:TraceEnum_ELBO found no sample sites configured")
@pytest.mark.parametrize("name", {**NAMES, **dict.fromkeys(ALL)})
def test_every_name_trains_a_pair(name):
    (model, guide), x = binary_vae(), binary_rows()
    loss = estimator_named(name)
    if isinstance(loss, estimators.Estimator):
        loss.begin(10)
    if isinstance(loss, estimators.ScoreClimbing):
        loss.num_rows = len(x)
    svi = SVI(model, guide, pyro.optim.Adam({"lr": 0.01}), loss)
    before = [leaf.clone() for leaf in svi.pair.leaves.values()]
    for _ in range(2):  # the first step of a warm-up has no KL
        svi.step(x=x, index=torch.arange(len(x)))
    moved = [
        (leaf != old).any() for leaf, old in zip(svi.pair.leaves.values(), before, strict=True)
    ]
    assert all(moved)


@pytest.mark.parametrize("kind", ["MyBound", "MyIWAE", "MyTrace"])
def test_ones_own_class_is_named_by_its_file_wherever_one_is(mine, kind, tmp_path, monkeypatch):
    estimator = estimator_named(f"mine.py:{kind}")
    assert type(estimator).__name__ == kind
    assert name_of(estimator) == f"{mine}:{kind}"
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    again = estimator_named(name_of(estimator))
    assert type(again).__name__ == kind
    assert settings_of(again) == settings_of(estimator)


def test_a_subclass_made_in_python_does_not_take_the_name_of_its_parent():
    class Sharper(IWAE):
        pass

    assert name_of(Sharper(5)) not in ("iwae:5", "iwae")
    assert pyro_name(Sharper(5)) == "-"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("iwea", r"estimator must be one of elbo, .* or mine\.py:MyBound; got 'iwea'\. .*'iwae'"),
        ("", "estimator must be one of .*; got ''"),
        ("IWAE:5", "estimator must be one of .*; got 'IWAE:5'"),
        ("iwae:0", "num_particles must be at least 1; got 0"),
        ("elbo:-3", "num_particles must be at least 1; got -3"),
        ("Trace_ELBO:0", "num_particles must be at least 1; got 0"),
        ("renyi:0.5:0", "num_particles must be at least 1; got 0"),
        ("iwae:five", "estimator must be written iwae:K; got 'iwae:five'"),
        ("iwae:", "estimator must be written iwae:K; got 'iwae:'"),
        ("iwae:2.5", "estimator must be written iwae:K; got 'iwae:2.5'"),
        ("elbo:2:3", "estimator must be written elbo:K; got 'elbo:2:3'"),
        ("renyi:half:5", "estimator must be written renyi:ALPHA:K; got 'renyi:half:5'"),
        ("renyi:0.5:5:2", "estimator must be written renyi:ALPHA:K; got 'renyi:0.5:5:2'"),
        ("renyi:1:5", "alpha must be finite and not 1"),
        ("renyi:nan:5", "alpha must be finite and not 1"),
        ("RenyiELBO:1:5", "alpha must be finite and not 1"),
        ("RenyiELBO:inf:5", "alpha must be finite and not 1"),
        (
            "iwae:5+drag",
            r"estimator must have parts that it takes, of \+stl, .*; got 'iwae:5\+drag'",
        ),
        ("msc:3+stl", r"estimator must have parts that it takes"),
        ("elbo+expected", r"estimator must have parts that it takes"),
        (
            "mine.py",
            r"estimator must name a class of mine\.py, one of .*'MyBound'.*; got 'mine.py'",
        ),
        ("mine.py:MyBund", "estimator must name a class of mine.py, one of .*'MyBound'"),
        ("mine.py:Needy", "estimator must be made without arguments; got 'mine.py:Needy'"),
        ("gone.py:MyBound", "file must be readable; got gone.py"),
    ],
)
def test_a_bad_name_is_refused(mine, name, message):
    with pytest.raises(ValueError, match=message):
        estimator_named(name)


@pytest.mark.parametrize(
    ("name", "pyros"),
    [
        ("elbo", "Trace_ELBO()"),
        ("elbo:5", "Trace_ELBO(num_particles=5)"),
        ("elbo-kl", "TraceMeanField_ELBO()"),
        ("iwae:50", "RenyiELBO(alpha=0, num_particles=50)"),
        ("iwae:1", "RenyiELBO(alpha=0)"),
        ("renyi:0.5:5", "RenyiELBO(alpha=0.5, num_particles=5)"),
        ("TraceGraph_ELBO", "TraceGraph_ELBO()"),
        ("RenyiELBO:0.5:5", "RenyiELBO(alpha=0.5, num_particles=5)"),
        ("mine.py:MyBound", "-"),
        ("mine.py:MyIWAE", "-"),
        ("iwae:5+dreg", "-"),
        ("miwae:2:2", "-"),
    ],
)
def test_the_table_says_what_computes_the_same_bound_in_pyro(mine, name, pyros):
    assert pyro_name(estimator_named(name)) == pyros
