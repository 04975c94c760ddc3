"""What the benchmark of a step calls its workloads and those that take turns on them."""

__all__ = ["CONTENDERS", "REFERENCES", "WORKLOADS"]

WORKLOADS = {
    "vae-32": "VAE, batch 32",
    "vae-128": "VAE, batch 128",
    "vae-1024": "VAE, batch 1024",
    "conv-vae-128": "convolutional VAE, batch 128",
    "m2-128": "M2, 10 classes, batch 128",
    "iwae-5-128": "IWAE, K = 5, batch 128",
    "iwae-50-128": "IWAE, K = 50, batch 128",
}
# "+layer": the networks of [x, y] begin with one layer of several inputs, MLP([P, C], ...).
CONTENDERS = {
    "eager": "hand-written, eager, default Adam",
    "fused": "hand-written, eager, fused Adam",
    "compiled": "hand-written, `torch.compile`, fused Adam",
    "graph": "hand-written, CUDA graph, fused Adam",
    "pyro": "`pyro.infer.SVI`",
    "off": '`ppvae.SVI`, "off"',
    "replay": '`ppvae.SVI`, "replay"',
    "inductor": '`ppvae.SVI`, "inductor"',
    "off+layer": '`ppvae.SVI`, "off", `MLP([P, C], ...)`',
    "replay+layer": '`ppvae.SVI`, "replay", `MLP([P, C], ...)`',
    "inductor+layer": '`ppvae.SVI`, "inductor", `MLP([P, C], ...)`',
    "numpyro-jit": "NumPyro, `jit(svi.update)`",
    "numpyro-loop": "NumPyro, `fori_loop`",
}
# What the time of each is divided by, within a round.
REFERENCES = ("eager", "compiled", "pyro", "numpyro-loop")
