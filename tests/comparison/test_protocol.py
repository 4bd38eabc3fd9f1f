from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from residua.comparison.protocol import Protocol, draw, lay_out
from residua.errors import BadLabels, ConfigurationError, TooFewImages
from residua.images.datasets import load_dataset
from residua.images.preprocess import InputSpec
from residua.images.source import ArraySource, ImageSource

SPEC = InputSpec(height=8, width=8, channels=1)


def pixels(source: ImageSource) -> set[bytes]:
    return {image.tobytes() for batch in source.batches(SPEC, 64) for image in batch.images}


def no_test_picture_is_trained_on(protocol: Protocol) -> bool:
    trained = pixels(protocol.trusted)
    return all(not trained & pixels(part.source) for part in protocol.tested)


def counts(protocol: Protocol) -> tuple[int, int, int]:
    truth = np.concatenate([part.anomalous for part in protocol.tested])
    return len(protocol.trusted), int(np.sum(~truth)), int(np.sum(truth))


def pictures(n: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (n, 8, 8), np.uint8)


def written(root: Path, **classes: int) -> Path:
    for seed, (name, n) in enumerate(classes.items()):
        folder = root / name.replace("__", "/")
        folder.mkdir(parents=True)
        for number, image in enumerate(pictures(n, seed)):
            Image.fromarray(image).save(folder / f"{number}.png")
    return root


def test_the_second_data_set_is_anomalous_and_the_firsts_test_part_normal() -> None:
    other = ArraySource(pictures(30))
    protocol = lay_out("digits", other)
    assert counts(protocol) == (1200, 597, 30)
    assert protocol.tested[1].source is other
    assert "test part" in protocol.words


def test_a_part_is_held_out_where_the_training_data_have_no_test_part() -> None:
    protocol = lay_out(ArraySource(pictures(50)), ArraySource(pictures(20, 1)))
    assert counts(protocol) == (35, 15, 20)
    assert no_test_picture_is_trained_on(protocol)


def test_one_labelled_data_set_is_split_by_the_seed() -> None:
    source = ArraySource(pictures(60), labels=["ok"] * 40 + ["bad"] * 20)
    protocol = lay_out(source, source, normal=["ok"])
    assert counts(protocol) == (28, 12, 20)
    assert no_test_picture_is_trained_on(protocol)
    assert set(protocol.trusted.labels or []) == {"ok"}
    again, other = (lay_out(source, source, anomalous=["bad"], seed=s) for s in (0, 1))
    assert list(again.trusted.ids) == list(protocol.trusted.ids)
    assert list(other.trusted.ids) != list(protocol.trusted.ids)


def test_published_parts_are_used_where_one_data_set_is_named_twice() -> None:
    protocol = lay_out("digits", "digits", normal=["0", "1"])
    labels = load_dataset("digits", "train").labels or []
    assert len(protocol.trusted) == sum(label in ("0", "1") for label in labels)
    assert set(protocol.trusted.labels or []) == {"0", "1"}
    tested = load_dataset("digits", "test").labels or []
    n_normal = sum(label in ("0", "1") for label in tested)
    assert counts(protocol)[1:] == (n_normal, len(tested) - n_normal)


def test_known_defects_need_no_name() -> None:
    n_train, n_normal, n_anomalous = counts(lay_out("surfaces", "surfaces"))
    assert (n_train, n_normal, n_anomalous) == (512, 160, 160)


def test_the_mvtec_layout_says_which_pictures_are_normal(tmp_path: Path) -> None:
    root = written(tmp_path, train__good=6, test__good=3, test__scratch=4, ground_truth__scratch=1)
    for protocol in (lay_out(root, root), lay_out(root / "train" / "good", root)):
        assert counts(protocol) == (6, 3, 4)


def test_a_class_called_good_is_normal_in_a_folder(tmp_path: Path) -> None:
    root = written(tmp_path, sound=6, incoming__good=3, incoming__dent=2)
    assert counts(lay_out(root / "sound", root / "incoming")) == (6, 3, 2)


def test_anomalous_classes_are_left_out_of_training(tmp_path: Path) -> None:
    train = ArraySource(pictures(10), labels=["a"] * 6 + ["bad"] * 4)
    test = ArraySource(pictures(10, 1), labels=["a"] * 7 + ["bad"] * 3)
    assert counts(lay_out(train, test, anomalous=["bad"])) == (6, 7, 3)
    assert counts(lay_out(train, test, normal=["a"])) == (6, 7, 3)


def test_classes_in_both_folders_cannot_all_be_anomalous(tmp_path: Path) -> None:
    root = written(tmp_path, one__a=3, one__b=3, two__a=3, two__c=3)
    with pytest.raises(BadLabels, match="'a'"):
        lay_out(root / "one", root / "two")


def test_exact_refusals_of_labels() -> None:
    bare, labelled = ArraySource(pictures(9)), ArraySource(pictures(9), labels=["a"] * 9)
    with pytest.raises(BadLabels, match="no classes"):
        lay_out(bare, bare, normal=["a"])
    with pytest.raises(BadLabels, match="no class is named"):
        lay_out(labelled, labelled)
    with pytest.raises(BadLabels, match="not one is anomalous"):
        lay_out(labelled, labelled, normal=["a"])
    with pytest.raises(BadLabels, match="not one is normal"):
        lay_out(bare, labelled, anomalous=["a"])
    with pytest.raises(BadLabels, match="did you mean 'sound'"):
        lay_out(bare, ArraySource(pictures(2), labels=["sound", "odd"]), normal=["sund"])
    with pytest.raises(TooFewImages, match="1 trusted"):
        lay_out(ArraySource(pictures(1)), bare)


def test_a_draw_is_seeded_sorted_and_without_repeats() -> None:
    drawn = draw(np.arange(100), 10, 0)
    assert len(set(drawn.tolist())) == 10
    assert (np.diff(drawn) > 0).all()
    assert list(drawn) == list(draw(np.arange(100), 10, 0)) != list(draw(np.arange(100), 10, 1))
    assert len(draw(np.arange(100), None, 0)) == len(draw(np.arange(100), 200, 0)) == 100
    with pytest.raises(ConfigurationError, match="at least 1"):
        draw(np.arange(100), 0, 0)


def test_a_picture_that_is_trained_on_is_not_tested(tmp_path: Path) -> None:
    data = written(tmp_path / "data", train=12, good=9, bad=5)
    protocol = lay_out(data / "train", data, anomalous=["bad"])
    assert counts(protocol) == (12, 9, 5)
    assert no_test_picture_is_trained_on(protocol)
    assert "12 test pictures that train are left out" in protocol.words
    with pytest.raises(BadLabels, match="not one is normal"):
        lay_out(data / "good", written(tmp_path / "other", bad=3), anomalous=["bad"])
