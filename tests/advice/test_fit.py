from __future__ import annotations

from typing import Any

import pytest

from residua.advice.fit import record_of_fit
from residua.training.config import EpochRecord, FitChecks

SOUND = FitChecks(
    network_mse=0.01,
    mean_image_mse=0.05,
    pca_mse=0.02,
    pca_components=8,
    code_size=8,
    picture_size=256,
)


def history(losses: list[float], training: list[float] | None = None) -> list[EpochRecord]:
    return [
        EpochRecord(
            epoch=number + 1,
            train_loss=(training or losses)[number],
            val_loss=loss,
            images_per_second=1.0,
            best=loss == min(losses[: number + 1]),
        )
        for number, loss in enumerate(losses)
    ]


FLAT = history([0.5, 0.2, 0.1, 0.1])


def checks_of(study_of: Any, noise: Any, **manifest: Any) -> list[str]:
    whole = {"checks": SOUND, "history": FLAT, "interrupted": False} | manifest
    return [found.check for found in record_of_fit(study_of(noise(4), manifest=whole))]


def test_a_sound_fit_is_fine(study_of: Any, noise: Any) -> None:
    assert checks_of(study_of, noise) == ["fit"]


@pytest.mark.parametrize(
    ("manifest", "check"),
    [
        ({"checks": SOUND.model_copy(update={"network_mse": 0.03})}, "fit-pca"),
        (
            {"checks": SOUND.model_copy(update={"code_size": 256, "pca_mse": None})},
            "fit-bottleneck",
        ),
        ({"interrupted": True}, "fit-interrupted"),
        ({"history": history([0.5, 0.4, 0.3, 0.2])}, "fit-epochs"),
        (
            {"history": history([0.5, 0.2, 0.3, 0.4], [0.5, 0.2, 0.15, 0.1])},
            "fit-overfit",
        ),
    ],
)
def test_a_flaw_of_the_fit_is_repeated(
    study_of: Any, noise: Any, manifest: dict[str, Any], check: str
) -> None:
    assert checks_of(study_of, noise, **manifest) == [check]
