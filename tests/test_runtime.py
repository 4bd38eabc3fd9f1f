from __future__ import annotations

import itertools
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from residua import AutoencoderDetector, BundleScorer
from residua.models import MODELS
from residua.scoring.errors import ERROR_MAPS, REDUCTIONS


def scores_of(scorer: BundleScorer, data: object) -> NDArray[np.float64]:
    return np.array([verdict.score for verdict in scorer.verdicts(data)])


@pytest.fixture(scope="module")
def small(blobs: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return blobs[:40, 2:14, 2:14]


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(
    ("error_map", "reduction"), list(itertools.product(ERROR_MAPS, REDUCTIONS))
)
def test_onnx_runtime_and_torch_give_one_error(
    model: str, error_map: str, reduction: str, small: NDArray[np.uint8], tmp_path: Path
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        detector = AutoencoderDetector(
            model,
            error_map=error_map,
            reduction=reduction,
            scoring="error",
            epochs=1,
            on_failed_fit="warn",
        ).fit(small)
    by_torch = detector.anomaly_scores(small)
    by_onnx = scores_of(BundleScorer(detector.save(tmp_path / "m.residua")), small)
    np.testing.assert_allclose(by_onnx, by_torch, rtol=1e-5)


def test_maps_reconstructions_and_codes_agree_too(
    detector: AutoencoderDetector, bundle: Path, blobs: NDArray[np.uint8]
) -> None:
    scored = BundleScorer(bundle).score_batch(blobs[:7, ..., None])
    np.testing.assert_allclose(scored.x_hat, detector.reconstruct(blobs[:7]), atol=1e-5)
    np.testing.assert_allclose(scored.error_maps, detector.error_maps(blobs[:7]), atol=1e-5)
    np.testing.assert_allclose(scored.latent, detector.encode(blobs[:7]), atol=1e-4)


def test_a_picture_scores_the_same_from_an_array_and_from_a_file(
    bundle: Path, blobs: NDArray[np.uint8], tmp_path: Path
) -> None:
    paths = []
    for number, image in enumerate(blobs[:6]):
        paths.append(tmp_path / f"{number}.png")
        Image.fromarray(image).save(paths[-1])
    scorer = BundleScorer(bundle)
    assert np.array_equal(scores_of(scorer, paths), scores_of(scorer, blobs[:6]))


def test_a_bad_file_becomes_a_row_and_the_rest_is_scored(
    bundle: Path, blobs: NDArray[np.uint8], tmp_path: Path
) -> None:
    for number, image in enumerate(blobs[:5]):
        Image.fromarray(image).save(tmp_path / f"{number}.png")
    (tmp_path / "2.png").write_bytes(b"")
    rows = list(BundleScorer(bundle).verdicts(tmp_path))
    assert [row.id for row in rows] == [f"{n}.png" for n in range(5)]
    assert [row.error is None for row in rows] == [True, True, False, True, True]
    assert rows[2].score is None
    assert rows[2].anomalous is None


def test_a_folder_of_bad_files_alone_gives_their_rows(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"")
    (tmp_path / "b.png").write_bytes(b"GIF89a")
    rows = list(BundleScorer(bundle).verdicts(tmp_path))
    assert [row.score for row in rows] == [None, None]


def test_scoring_a_bundle_imports_no_torch(bundle: Path) -> None:
    program = (
        "import sys, numpy as np, residua\n"
        f"scorer = residua.BundleScorer({str(bundle)!r})\n"
        "print(len(list(scorer.verdicts(np.zeros((3, 16, 16), np.uint8)))))\n"
        "heavy = {'torch', 'lightning', 'sklearn', 'safetensors', 'onnx', 'matplotlib'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    assert done.stdout.split("\n")[:2] == ["3", "[]"]
