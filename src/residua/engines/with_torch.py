"""torch, on a card where there is one: the extra ``train``."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import numpy as np
import torch
from numpy.typing import NDArray

from residua.bundle import Bundle
from residua.engines.base import Engine, Load, Precision
from residua.graph import in_full_float32
from residua.saving import load_graph
from residua.scoring.verdicts import ScoredBatch, with_numbers


class TorchEngine(Engine):
    """The network itself with its saved weights; on a card one call after the other."""

    name = "torch"

    def __init__(self, bundle: Bundle, load: Load, precision: Precision) -> None:
        self.precision = precision
        # Scores hold float64, which other cards do not have.
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.on_card = self.device.type == "cuda"
        self._graph = load_graph(bundle).to(self.device)
        self._threads = max(1, load.threads // load.at_once)
        self._turn: AbstractContextManager[object] = (
            threading.Lock() if self.on_card else nullcontext()
        )

    def __call__(self, images: NDArray[np.uint8]) -> ScoredBatch:
        """Score pictures (B, H, W, C); see `Engine`.

        Raises
        ------
        EngineFailed
            A score is no number.
        """
        with self._turn, torch.inference_mode(), _threads(self._threads):
            return with_numbers(self._computed(torch.from_numpy(np.ascontiguousarray(images))))

    def _computed(self, images: torch.Tensor) -> ScoredBatch:
        with (
            torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16"),
            in_full_float32(self.device),
        ):
            scores, *others = self._graph(images.to(self.device))
        return ScoredBatch(scores.cpu().numpy(), *(one.float().cpu().numpy() for one in others))


@contextmanager
def _threads(wanted: int) -> Iterator[None]:
    """Have torch compute by so many threads for the length of a ``with``, called from this one."""
    before = torch.get_num_threads()
    torch.set_num_threads(wanted)
    try:
        yield
    finally:
        torch.set_num_threads(before)
