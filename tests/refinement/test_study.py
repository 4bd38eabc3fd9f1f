from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from numpy.typing import NDArray

from residua import AutoencoderDetector, BundleScorer, load
from residua.errors import (
    CannotResume,
    ConfigurationError,
    OutputError,
    TooFewImages,
    TrainingError,
    UnknownName,
)
from residua.images.source import ArraySource
from residua.refinement.judge import Judge
from residua.refinement.objective import SelectionSet
from residua.refinement.result import Refinement
from residua.refinement.space import SearchSpace
from residua.refinement.study import refine
from residua.refinement.tested import measure_steps
from residua.report.refined import draw_refinement
from residua.workspace import alone_in

pytestmark = pytest.mark.filterwarnings("ignore::residua.errors.ResiduaWarning")

SPACE = SearchSpace(
    models=("conv",), error_maps=("squared", "absolute"), reductions=("mean", "max(2)")
)


def run(source: Any, room: Path, **options: Any) -> Refinement:
    source = source if isinstance(source, ArraySource) else ArraySource(source)
    detector = AutoencoderDetector(
        epochs=options.pop("epochs", 2), precision="float32", on_failed_fit="warn", random_state=0
    )
    given = {"trials": 3, "space": SPACE, "prune": False, **options}
    return refine(
        source,
        detector.settings_for(source),
        output=room / "best.residua",
        folder=room / "study",
        **given,
    )


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("refinement")


@pytest.fixture(scope="module")
def found(blobs: NDArray[np.uint8], room: Path) -> Refinement:
    return run(blobs, room, trials=4)


def trials_of(room: Path) -> list[optuna.trial.FrozenTrial]:
    study = optuna.load_study(
        study_name="refinement-study", storage=f"sqlite:///{room / 'study' / 'study.db'}"
    )
    return study.trials


def test_the_first_trial_is_the_settings_that_it_began_with(found: Refinement) -> None:
    initial = found.initial.record
    assert initial.number == 0
    assert initial.choice.learning_rate == 5e-3
    default = AutoencoderDetector()
    assert (initial.choice.error_map, initial.choice.reduction) == (default.error_map, "mean")
    assert initial.choice.score == default.scoring == "surprise"
    assert found.initial.changed == {}


def test_each_step_beats_all_before_it_and_says_what_changed(found: Refinement) -> None:
    aurocs = [step.record.auroc for step in found.steps]
    assert aurocs == sorted(set(aurocs))
    for before, step in zip(found.steps, found.steps[1:], strict=False):
        assert step.changed
        for name, (old, new) in step.changed.items():
            assert getattr(before.record.choice, name) == old
            assert getattr(step.record.choice, name) == new


def test_the_models_of_the_steps_are_kept_and_no_others(found: Refinement, room: Path) -> None:
    kept = {path.name for path in (room / "study").glob("*.residua")}
    assert kept == {step.bundle for step in found.steps}
    for step in found.steps:
        settings = load(room / "study" / step.bundle).manifest_.settings
        assert settings.error_map == step.record.choice.error_map
        assert settings.score == step.record.choice.score


def test_the_scores_that_are_tried_are_judged_on_one_network_and_the_best_is_kept(
    blobs: NDArray[np.uint8],
) -> None:
    pixels = blobs[:, ..., None]
    judge = Judge(pixels[40:], SelectionSet.of(pixels[:40], seed=0), (16, 16, 1))
    settings = AutoencoderDetector(
        epochs=2, precision="float32", on_failed_fit="warn"
    ).settings_for(ArraySource(blobs))
    names = ("error", "relative", "surprise")
    records = {
        tried: judge.judged(0, settings, [("squared", "mean")], tried, lambda *_: None)
        for tried in (*((name,) for name in names), names)
    }
    alone = {name: records[(name,)][0].auroc for name in names}
    best, outcome = records[names]
    assert len(set(alone.values())) > 1, "scores that do not differ show nothing"
    assert best.auroc == max(alone.values())
    assert alone[best.choice.score] == best.auroc
    assert outcome.graph.score.name == best.settings.score == best.choice.score


def test_the_winner_is_fitted_on_all_pictures(
    found: Refinement, room: Path, blobs: NDArray[np.uint8]
) -> None:
    data = load(room / "best.residua").manifest_.data
    assert data.training + data.validation + data.calibration == len(blobs)


def test_the_result_is_kept_and_shows_itself(found: Refinement, room: Path) -> None:
    text = (room / "study" / "refinement.json").read_text()
    assert Refinement.model_validate_json(text) == found
    assert "initial" in found._repr_html_()
    assert len(found.table().columns) == 8
    assert found.initial.record.choice.score in found._repr_html_()
    assert set(found.confirmed) == {"initial", "winner"}


def test_the_figures_name_the_score_of_each_step(
    found: Refinement, room: Path, blobs: NDArray[np.uint8]
) -> None:
    drawn = draw_refinement(found, room / "study", ArraySource(blobs[:10]))
    for path in drawn:
        assert "surprise" in path.read_text(encoding="utf-8")


def test_a_second_call_with_as_many_trials_runs_none(
    found: Refinement, room: Path, blobs: NDArray[np.uint8]
) -> None:
    before = [trial.datetime_complete for trial in trials_of(room)]
    again = run(blobs, room, trials=4)
    assert [trial.datetime_complete for trial in trials_of(room)] == before
    assert again == found


def test_one_seed_gives_one_result(blobs: NDArray[np.uint8], tmp_path: Path) -> None:
    results = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        results.append(run(blobs[:64], tmp_path / name, trials=2))
    for one, two in zip(results[0].steps, results[1].steps, strict=True):
        assert one.record.choice == two.record.choice
        assert one.record.auroc == two.record.auroc


def test_labels_have_no_part_in_it(blobs: NDArray[np.uint8], tmp_path: Path) -> None:
    results = []
    for number, labels in enumerate((None, ["a", "b"] * 32)):
        (tmp_path / str(number)).mkdir()
        source = ArraySource(blobs[:64], labels=labels)
        results.append(run(source, tmp_path / str(number), trials=2))
    assert results[0].confirmed == results[1].confirmed
    assert [s.record.auroc for s in results[0].steps] == [s.record.auroc for s in results[1].steps]


def test_a_study_of_other_pictures_is_not_gone_on_with(
    found: Refinement, room: Path, blobs: NDArray[np.uint8]
) -> None:
    with pytest.raises(CannotResume, match="other pictures"):
        run(blobs[1:], room)


def test_a_trial_that_is_behind_ends_early(blobs: NDArray[np.uint8], tmp_path: Path) -> None:
    space = SPACE.model_copy(update={"learning_rates": (1e-6, 1e-2), "losses": ("mse",)})
    found = run(blobs, tmp_path, trials=12, epochs=4, space=space, prune=True)
    assert found.pruned > 0
    assert found.completed + found.pruned == 12


def test_a_choice_that_is_refused_is_a_failed_trial_with_its_reason(
    blobs: NDArray[np.uint8], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import residua.refinement.study as study

    original = study.suggest

    def sometimes(trial: optuna.Trial, *rest: Any) -> Any:
        settings = original(trial, *rest)
        if trial.number == 1:
            raise ConfigurationError("too many weights")
        return settings

    monkeypatch.setattr(study, "suggest", sometimes)
    found = run(blobs[:64], tmp_path)
    assert found.failed == {"too many weights": 1}
    assert found.completed == 2


def test_initial_settings_that_fail_end_it(
    blobs: NDArray[np.uint8], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import residua.refinement.judge as judge

    def refused(*_: Any, **__: Any) -> Any:
        raise TrainingError("no")

    monkeypatch.setattr(judge, "fit_network", refused)
    with pytest.raises(TrainingError, match="initial settings could not be fitted: no"):
        run(blobs[:64], tmp_path, trials=1)


def test_ctrl_c_ends_the_search_and_keeps_what_is_done(
    blobs: NDArray[np.uint8], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import residua.refinement.judge as judge

    original, calls = judge.fit_network, []

    def interrupted(*arguments: Any, **options: Any) -> Any:
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return original(*arguments, **options)

    monkeypatch.setattr(judge, "fit_network", interrupted)
    found = run(blobs[:64], tmp_path, trials=5)
    assert found.completed == 2
    assert (tmp_path / "best.residua").exists()
    assert run(blobs[:64], tmp_path, trials=3).completed == 3


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"trials": 0}, ConfigurationError, "at least 1"),
        ({"space": SearchSpace(models=("cnv",))}, UnknownName, "did you mean 'conv'"),
        ({"space": SearchSpace(scores=("surprize",))}, UnknownName, "did you mean 'surprise'"),
        ({"storage": "no-such-database://x"}, OutputError, "cannot be opened"),
    ],
)
def test_what_cannot_be_is_refused(
    blobs: NDArray[np.uint8],
    tmp_path: Path,
    options: dict[str, Any],
    error: type[Exception],
    said: str,
) -> None:
    with pytest.raises(error, match=said):
        run(blobs[:64], tmp_path, **options)


def test_too_few_pictures_are_refused_with_the_number_wanted(
    blobs: NDArray[np.uint8], tmp_path: Path
) -> None:
    with pytest.raises(TooFewImages, match="at least 32"):
        run(blobs[:20], tmp_path)


def test_the_steps_are_measured_on_labelled_pictures_afterwards(
    found: Refinement, room: Path, blobs: NDArray[np.uint8], stripes: NDArray[np.uint8]
) -> None:
    labels = ["blob"] * 30 + ["stripe"] * 20
    data = ArraySource(np.concatenate([blobs[:30], stripes]), labels=labels)
    measured = measure_steps(found, room / "study", data, normal=["blob"])
    assert all(
        step.tested is not None and 0 <= step.tested.accuracy <= 1 for step in measured.steps
    )
    scorer = BundleScorer(room / "study" / measured.initial.bundle)
    flagged = np.array([verdict.anomalous for verdict in scorer.verdicts(data)])
    right = flagged == np.repeat([False, True], [30, 20])
    assert measured.initial.tested is not None
    assert measured.initial.tested.accuracy == right.mean()


def test_a_study_that_cannot_be_written_is_named_and_goes_on(
    blobs: NDArray[np.uint8], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise optuna.exceptions.StorageInternalError("An exception is raised") from OSError("full")

    with monkeypatch.context() as patch:
        patch.setattr("optuna.storages.RDBStorage.set_trial_user_attr", full)
        with pytest.raises(OutputError, match=r"study\.db cannot be written: full; the trials"):
            run(blobs[:64], tmp_path, trials=1)
    assert run(blobs[:64], tmp_path, trials=1).completed == 1


def test_the_password_of_a_study_is_not_shown(blobs: NDArray[np.uint8], tmp_path: Path) -> None:
    with pytest.raises(OutputError) as caught:
        run(blobs[:64], tmp_path, storage="no-such-database://me:s3cret@here/x")
    assert "s3cret" not in str(caught.value)


def test_two_searches_do_not_share_a_folder(blobs: NDArray[np.uint8], tmp_path: Path) -> None:
    (tmp_path / "study").mkdir()
    with alone_in(tmp_path / "study", "search"), pytest.raises(OutputError, match="another proc"):
        run(blobs[:64], tmp_path, trials=1)


def test_a_killed_search_goes_on(tmp_path: Path) -> None:
    program = textwrap.dedent(
        f"""
        import sys
        sys.path.insert(0, {str(Path(__file__).parent.parent)!r})
        from pathlib import Path
        from conftest import make_blobs
        from residua import AutoencoderDetector
        from residua.images.source import ArraySource
        from residua.refinement.space import SearchSpace
        from residua.refinement.study import refine
        source = ArraySource(make_blobs(64))
        detector = AutoencoderDetector(epochs=4, precision="float32", on_failed_fit="warn")
        space = SearchSpace(models=("conv",), error_maps=("squared",), reductions=("mean",))
        found = refine(source, detector.settings_for(source), output=Path("best.residua"),
                       folder=Path("study"), trials=int(sys.argv[1]), space=space, prune=False)
        print(found.completed)
        """
    )
    command = [sys.executable, "-W", "ignore", "-c", program]
    killed = subprocess.Popen([*command, "400"], cwd=tmp_path, env=os.environ)
    database = tmp_path / "study" / "study.db"
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        time.sleep(0.3)
        if database.exists() and _completed(database) >= 2:
            break
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    done = _completed(database)
    assert done >= 2
    went_on = subprocess.run(
        [*command, str(done + 1)], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert went_on.returncode == 0, went_on.stderr
    assert int(went_on.stdout.split()[-1]) == done + 1
    assert (tmp_path / "best.residua" / "model.onnx").exists()
    assert not list((tmp_path / "study").glob("decoded-*"))


def test_a_trial_killed_between_its_record_and_its_end_counts_once(
    blobs: NDArray[np.uint8], tmp_path: Path
) -> None:
    run(blobs[:64], tmp_path, trials=1)
    with closing(sqlite3.connect(tmp_path / "study" / "study.db")) as base:
        base.execute("UPDATE trials SET state = 'RUNNING', datetime_complete = NULL")
        base.execute("DELETE FROM trial_values")
        base.commit()
    found = run(blobs[:64], tmp_path, trials=1)
    assert found.completed == 1
    assert [step.record.number for step in found.steps] == [1]
    assert [trial.state.name for trial in trials_of(tmp_path)] == ["FAIL", "COMPLETE"]


def _completed(database: Path) -> int:
    try:
        with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
            query = "SELECT COUNT(*) FROM trials WHERE state = 'COMPLETE'"
            return int(connection.execute(query).fetchone()[0])
    except sqlite3.OperationalError:  # it is being made
        return 0
