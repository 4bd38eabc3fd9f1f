"""How near training comes to what the machine can do, and where its steps go.

    scripts/bench roofline [--repeats 3] [--steps 12] [--cases conv-28 ...]

Each row is `residua.training.fit.train` itself, loader and Lightning included, on pictures of
noise: the speed of the last of three epochs, as its record says. The limits are measured in the
same run: products of matrices and convolutions of 64 channels in both precisions, and a copy in
memory.

A step cannot take less than its sums at the greater of the two speeds, nor less than the bytes
that its convolutions and linear layers read and write once, and the optimiser's, at that of the
copy; the greater of the two is the limit of its row. Normalisation, which has to see a whole batch
before it can change it, activations and layouts are not in the limit: a machine without caches
that fused all of them into the layers around would reach it.

The plain side of the last column is the same training with torch's own forms of what
`residua.models.layers` and `residua.training.heap` do otherwise; both sides take turns.
"""

from __future__ import annotations

import collections
import statistics
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from torch.profiler import ProfilerActivity, profile
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from _page import Table, parser, publish
from _table import alternate, median_of, paired_ratio
from residua.errors import ResiduaWarning
from residua.models import build_model, to_network
from residua.models.layers import Doubling
from residua.training.config import TrainingConfig
from residua.training.fit import computes_in_bf16, train

EPOCHS = 3


@dataclass(frozen=True)
class Case:
    """A network, a size of pictures and a batch."""

    words: str
    model: str
    shape: tuple[int, int, int]
    batch: int
    options: dict[str, Any] = field(default_factory=dict)


CASES = {
    "conv-28": Case("conv", "conv", (28, 28, 1), 128),
    "mnist-28": Case("seed-mnist", "seed-mnist", (28, 28, 1), 128),
    "conv-128": Case("conv", "conv", (128, 128, 3), 32),
    "strided-128": Case(
        "seed-caltech with batch normalisation: strides, transposed convolutions",
        "seed-caltech",
        (128, 128, 3),
        32,
        {"batch_norm": True},
    ),
    "conv-256": Case("conv", "conv", (256, 256, 3), 16),
    "stem-256": Case("conv, stem=4", "conv", (256, 256, 3), 16, {"stem": 4}),
    "caltech-256": Case("seed-caltech", "seed-caltech", (256, 256, 3), 16),
}
KINDS = {
    "convolution, forward": ("convolution",),
    "convolution, backward": ("convolution_backward",),
    "linear": ("addmm", "mm"),
    "normalisation": ("native_batch_norm", "native_batch_norm_backward"),
    "activation": ("relu", "clamp_min", "threshold", "leaky"),
    "pooling, up-sampling": ("max_pool", "upsample", "pixel_"),
    "loss": ("mse_loss", "sigmoid", "binary_cross", "mean"),
    "optimiser": ("_fused_adam", "Optimizer"),
    "layout, casts": ("copy_", "clone", "contiguous", "div", "fill_", "zero", "index", "cat"),
}
REST = "rest"


@dataclass(frozen=True)
class Limits:
    """What the machine does at its best, in this run."""

    products: dict[str, float]
    """Products of matrices, FLOP/s by precision."""
    convolutions: dict[str, float]
    """Convolutions of 3 x 3 with 64 channels, FLOP/s by precision."""
    bandwidth: float
    """Bytes a second read and written by a copy."""

    def peak(self, precision: str) -> float:
        """Return the greater of both rates, FLOP/s."""
        return max(self.products[precision], self.convolutions[precision])


def main() -> None:
    options = arguments()
    precisions = ["bf16", "float32"] if computes_in_bf16("cpu") else ["float32"]
    machine = limits(precisions)
    steps, parts = [], []
    for name in options.cases:
        case = CASES[name]
        for precision in precisions:
            flops, moved = cost(case, precision)
            sides = {
                "plain": lambda c=case, p=precision: speed(c, p, options.steps, plain_forms),
                "residua": lambda c=case, p=precision: speed(c, p, options.steps, nullcontext),
            }
            measured = alternate(sides, options.repeats)
            arithmetic = flops / machine.peak(precision) / case.batch
            memory = moved / machine.bandwidth / case.batch
            reached = statistics.median(measured["residua"])
            gained = median_of(paired_ratio(measured["residua"], measured["plain"]), ".2f")
            height, width, channels = case.shape
            words = f"{case.words}, {height} × {width} × {channels}, {precision}"
            steps.append(
                [
                    words,
                    f"{flops / case.batch / 1e6:,.0f}",
                    f"{moved / case.batch / 1e6:,.1f}",
                    f"{1 / arithmetic:,.0f}",
                    f"{1 / memory:,.0f}",
                    median_of(measured["residua"]),
                    f"{flops / case.batch * reached / 1e9:,.0f}",
                    f"{reached * max(arithmetic, memory):.0%}",
                    gained,
                ]
            )
            parts.append([words, *(f"{share:.0%}" for share in shares(case, precision).values())])
    publish("roofline", tables(machine, steps, parts, options.repeats), page=options.page)


def arguments() -> Any:
    made = parser(__doc__)
    made.add_argument("--repeats", type=int, default=3)
    made.add_argument("--steps", type=int, default=12, help="steps an epoch")
    made.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    return made.parse_args()


def tables(
    machine: Limits, steps: list[list[str]], parts: list[list[str]], repeats: int
) -> list[Table]:
    rates = [
        ["product of matrices of 2,048", *_giga(machine.products)],
        ["convolution 3 × 3, 64 channels", *_giga(machine.convolutions)],
    ]
    copied = f"a copy in memory reads and writes {machine.bandwidth / 1e9:.0f} GB/s"
    return [
        Table(
            f"What the machine does with {torch.get_num_threads()} threads, GFLOP/s; {copied}",
            ["", *machine.products],
            rates,
        ),
        Table(
            f"Training, loader included; median of {repeats} alternating runs (least to greatest)",
            [
                "network",
                "MFLOP a picture",
                "MB a picture, at least",
                "images/s by arithmetic",
                "images/s by memory",
                "images/s",
                "GFLOP/s",
                "share of the limit",
                "speed, plain forms = 1",
            ],
            steps,
        ),
        Table("Where a step goes", ["network", *KINDS, REST], parts),
    ]


def limits(precisions: list[str]) -> Limits:
    """Measure the machine: the best of some calls each."""
    products, convolutions = {}, {}
    for precision in precisions:
        dtype = _dtype(precision)
        a, b = (torch.randn(2_048, 2_048).to(dtype) for _ in "ab")
        products[precision] = 2 * 2_048**3 / best(lambda a=a, b=b: a @ b)
        x = torch.randn(16, 64, 64, 64).to(dtype, memory_format=torch.channels_last)
        w = torch.randn(64, 64, 3, 3).to(dtype, memory_format=torch.channels_last)
        taken = best(lambda x=x, w=w: F.conv2d(x, w, padding=1))
        convolutions[precision] = 2 * x.numel() * 64 * 9 / taken
    from_here, to_there = torch.ones(1 << 26), torch.ones(1 << 26)
    copied = 2 * 4 * from_here.numel() / best(lambda: to_there.copy_(from_here))
    return Limits(products, convolutions, copied)


def best(call: Callable[[], object], calls: int = 10) -> float:
    seconds = []
    for _ in range(calls):
        started = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - started)
    return min(seconds)


def cost(case: Case, precision: str) -> tuple[int, int]:
    """Count the FLOPs of a step and the bytes that it moves at least."""
    step, model = one_step(case, precision)
    with FlopCounterMode(display=False) as flops:
        step()
    with BytesOfLayers() as layers:
        step()
    # Adam reads weight, gradient and two moments, and writes all but the gradient.
    of_adam = 7 * 4 * sum(weight.numel() for weight in model.parameters())
    return flops.get_total_flops(), layers.moved + of_adam


class BytesOfLayers(TorchDispatchMode):
    """Adds up what convolutions and linear layers read and write, each tensor once a call."""

    def __init__(self) -> None:
        super().__init__()
        self.moved = 0

    def __torch_dispatch__(
        self, operator: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        result = operator(*args, **(kwargs or {}))
        name = operator.name().removeprefix("aten::")
        if name.startswith(("convolution", "addmm", "mm")):
            results = result if isinstance(result, tuple) else (result,)
            tensors = [t for t in (*args, *results) if isinstance(t, torch.Tensor)]
            self.moved += sum(t.numel() * t.element_size() for t in tensors)
        return result


def one_step(case: Case, precision: str) -> tuple[Callable[[], None], nn.Module]:
    """Return a step without its loader, for counting and profiling, and its network."""
    torch.manual_seed(0)
    model = build_model(case.model, case.shape, options=case.options)
    model.to(memory_format=torch.channels_last)
    optimiser = torch.optim.Adam(model.parameters(), fused=True)
    images = torch.from_numpy(pictures(case, case.batch))

    def step() -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            loss = model.training_losses(to_network(images))["loss"]
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()

    step()
    return step, model


def speed(case: Case, precision: str, steps: int, forms: Callable[[], Any]) -> float:
    """Train for some epochs; return the last one's images a second."""
    pixels = pictures(case, case.batch * (steps + 1))
    rows = np.arange(len(pixels))
    config = TrainingConfig(
        epochs=EPOCHS, batch_size=case.batch, precision=precision, device="cpu", learning_rate=1e-3
    )

    def build() -> Any:
        return build_model(case.model, case.shape, options=case.options)

    with forms(), warnings.catch_warnings():
        warnings.simplefilter("ignore", ResiduaWarning)
        parts = rows[: -case.batch], rows[-case.batch :]
        with patch("residua.training.fit.compare_with_simple_predictors", _no_comparison):
            return train(build, pixels, *parts, config).history[-1].images_per_second


@contextmanager
def plain_forms() -> Iterator[None]:
    """Take torch's own forms instead of those of Residua."""
    networks = [f"residua.models.{name}" for name in ("conv", "seed_caltech", "seed_mnist")]
    with ExitStack() as stack:
        for network in networks:
            stack.enter_context(patch(f"{network}.to_rows", lambda x: x.flatten(1)))
            stack.enter_context(patch(f"{network}.to_grid", lambda x, g: x.reshape(-1, *g)))
        for replaced in (
            patch("residua.models.conv.sub_pixel", lambda c, x, f: F.pixel_shuffle(c(x), f)),
            patch("residua.models.base.mean_squared_error", F.mse_loss),
            patch.object(Doubling, "forward", nn.ConvTranspose2d.forward),
            patch("residua.training.fit.freed_memory_kept", nullcontext),
        ):
            stack.enter_context(replaced)
        yield


def shares(case: Case, precision: str) -> dict[str, float]:
    """Return the share of a step's time that each kind of operator takes."""
    step, _ = one_step(case, precision)
    with profile(activities=[ProfilerActivity.CPU]) as recorded:
        for _ in range(5):
            step()
    found: collections.Counter[str] = collections.Counter()
    for event in recorded.key_averages():
        found[_kind(event.key)] += event.self_cpu_time_total
    total = found.total()
    return {kind: found[kind] / total for kind in (*KINDS, REST)}


def _kind(key: str) -> str:
    name = key.removeprefix("aten::")
    if not key.startswith(("aten::", "Optimizer")):
        return REST
    fitting = [kind for kind, marks in KINDS.items() if any(mark in name for mark in marks)]
    if "convolution_backward" in name:
        return "convolution, backward"
    return fitting[0] if fitting else REST


def _no_comparison(*_: Any) -> Any:
    from residua.training.config import FitChecks

    return FitChecks(
        network_mse=0, mean_image_mse=1, pca_mse=None, pca_components=None, code_size=1,
        picture_size=2,
    )  # fmt: skip


def pictures(case: Case, count: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, *case.shape), np.uint8)


def _dtype(precision: str) -> torch.dtype:
    return torch.bfloat16 if precision == "bf16" else torch.float32


def _giga(rates: dict[str, float]) -> list[str]:
    return [f"{rate / 1e9:,.0f}" for rate in rates.values()]


if __name__ == "__main__":
    main()
