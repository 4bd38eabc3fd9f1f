from __future__ import annotations

import csv
import io
import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray
from PIL import Image

from residua.bundle import open_bundle
from residua.cli import main
from residua.scoring.calibration import benjamini_hochberg

COMMAND = str(Path(sys.executable).with_name("residua"))
COMMANDS = (
    "fit",
    "score",
    "watch",
    "serve",
    "recalibrate",
    "export-reviews",
    "evaluate",
    "report",
    "advise",
    "compare",
    "refine",
    "info",
    "engines",
    "datasets",
    "models",
    "demo",
    "reproduce",
)


def residua(*arguments: object, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Run a command as its program does, in this process, which has imported what it needs."""
    given = [COMMAND, *map(str, arguments)]
    streams = {name: io.TextIOWrapper(io.BytesIO(), "utf-8") for name in ("stdout", "stderr")}
    streams["stdin"] = io.TextIOWrapper(io.BytesIO(stdin.encode()), "utf-8")
    code: object = 0
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (("COLUMNS", "200"), ("NO_COLOR", "1")):
            patch.setenv(name, value)
        for name, stream in streams.items():
            patch.setattr(sys, name, stream)
        patch.setattr(sys, "argv", given)
        try:
            main()
        except SystemExit as end:
            code = end.code or 0
    written = {}
    for name in ("stdout", "stderr"):
        streams[name].flush()
        written[name] = streams[name].detach().getvalue().decode()
    return subprocess.CompletedProcess(given, code, **written)


def read_csv(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))


@pytest.fixture(scope="module")
def folder(blobs: NDArray, stripes: NDArray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("incoming")
    for name, images in (("sound", blobs[:30]), ("odd", stripes[:3])):
        (root / name).mkdir()
        for number, image in enumerate(images):
            Image.fromarray(image).save(root / name / f"{number:02}.png")
    return root


@pytest.fixture
def with_bad_file(folder: Path, tmp_path: Path) -> Path:
    copy = Path(shutil.copytree(folder, tmp_path / "incoming"))
    (copy / "sound" / "broken.png").write_bytes(b"")
    return copy


def test_help_lists_the_commands_and_the_exit_codes() -> None:
    done = residua("--help")
    assert done.returncode == 0
    for command in COMMANDS:
        assert command in done.stdout
    assert "Exit codes" in done.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_each_commands_help_has_an_example(command: str) -> None:
    done = residua(command, "--help")
    assert done.returncode == 0
    assert f"Example: residua {command}" in done.stdout


def test_help_imports_nothing_heavy() -> None:
    program = (
        "import sys, residua.cli, typer.testing as t\n"
        "result = t.CliRunner().invoke(residua.cli.app, ['--help'])\n"
        "assert result.exit_code == 0\n"
        "heavy = {'torch', 'lightning', 'sklearn', 'numpy', 'onnxruntime', 'matplotlib'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    assert done.stdout.strip() == "[]"


def test_version_is_printed() -> None:
    assert residua("--version").stdout.startswith("residua ")


def test_completion_is_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    # Else Typer looks for the shell that runs the tests, and there may be none.
    monkeypatch.setenv("_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION", "1")
    # It is offered under the name by which the program was called.
    done = subprocess.run(
        [COMMAND, "--show-completion", "bash"], check=True, capture_output=True, text=True
    )
    assert "_RESIDUA_COMPLETE" in done.stdout


@pytest.mark.parametrize(
    "arguments", [["bogus"], ["fit"], ["score"], ["fit", "x", "--epochs", "a"]]
)
def test_wrong_usage_exits_with_2(arguments: list[str]) -> None:
    assert residua(*arguments).returncode == 2


def test_fit_then_score_flags_the_odd_pictures(folder: Path, tmp_path: Path) -> None:
    model = tmp_path / "blobs.residua"
    fitted = residua("fit", folder / "sound", "-o", model, "--epochs", 40)
    assert fitted.returncode == 0, fitted.stderr
    assert "network" in fitted.stdout
    assert not model.with_name("blobs.residua.partial").exists()
    scored = residua("score", model, folder, "--out", tmp_path / "scores.csv")
    assert scored.returncode == 0, scored.stderr
    rows = read_csv(tmp_path / "scores.csv")
    assert len(rows) == 33
    odd = [row for row in rows if row["id"].startswith("odd/")]
    assert [row["anomalous"] for row in odd] == ["true"] * 3
    assert all(float(row["score"]) > float(row["threshold"]) for row in odd)


def test_fit_with_json_prints_the_manifest_alone(folder: Path, tmp_path: Path) -> None:
    model = tmp_path / "m.residua"
    done = residua("fit", folder / "sound", "-o", model, "--epochs", 20, "--json")
    assert json.loads(done.stdout)["settings"]["epochs"] == 20


def test_a_backbone_makes_fit_rebuild_its_features(
    folder: Path, backbone: Path, tmp_path: Path
) -> None:
    model = tmp_path / "m.residua"
    options = ("--size", 64, "--epochs", 1)
    done = residua("fit", folder / "sound", "-o", model, "--backbone", backbone, *options)
    assert done.returncode == 0, done.stderr
    manifest = open_bundle(model).manifest
    assert manifest.model.name == "features"
    assert manifest.model.backbone is not None
    assert manifest.settings.reduction == "mean"
    assert "descriptor" in done.stdout


def test_fit_does_not_replace_a_model_unless_told_to(bundle: Path, folder: Path) -> None:
    done = residua("fit", folder, "-o", bundle)
    assert done.returncode == 1
    assert "--force" in done.stderr


def test_errors_are_one_line_without_a_traceback(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for arguments in (
        ["score", bundle, tmp_path / "nowhere"],
        ["score", bundle, tmp_path / "empty"],
        ["score", tmp_path / "nowhere.residua", tmp_path],
        ["info", tmp_path],
        ["fit", tmp_path / "empty", "-o", tmp_path / "m.residua"],
        ["fit", "digits", "-o", tmp_path / "no" / "m.residua"],
    ):
        done = residua(*arguments)
        assert done.returncode == 1, arguments
        assert done.stderr.startswith("error: "), (arguments, done.stderr)
        assert "Traceback" not in done.stderr


def test_settings_that_cannot_be_are_wrong_usage(
    bundle: Path, folder: Path, tmp_path: Path
) -> None:
    for arguments in (
        ["fit", "digits", "-o", tmp_path / "m.residua", "--model", "con"],
        ["fit", "digits", "-o", tmp_path / "m.residua", "--seed", "-1"],
        ["fit", "digits", "-o", tmp_path / "m.residua", "--size", "12y3"],
        ["score", bundle, tmp_path, "--out", tmp_path / "x.xlsx"],
        ["score", bundle, folder, "--fdr", "1.5"],
        ["fit", "digits", "-o", tmp_path / "m.residua", "--threshold", "best_f1"],
        ["recalibrate", bundle, folder, "--threshold", "youden"],
        ["score", bundle, folder / "odd", folder / "sound"],
        ["score", bundle, "-", folder / "odd" / "00.png"],
        ["reproduce", "mnist"],
        ["reproduce", "mnist-fashion", "--seeds", "a"],
    ):
        done = residua(*arguments)
        assert done.returncode == 2, (arguments, done.stderr)
        assert done.stderr.startswith("error: "), (arguments, done.stderr)


def test_no_path_on_standard_input_is_a_quiet_day(bundle: Path, tmp_path: Path) -> None:
    done = residua("score", bundle, "-", "--out", tmp_path / "s.csv")
    assert done.returncode == 0
    assert read_csv(tmp_path / "s.csv") == []


def test_paths_may_be_separated_by_nul(bundle: Path, folder: Path) -> None:
    paths = sorted((folder / "odd").iterdir())
    done = residua("score", bundle, "-", "--json", stdin="\0".join(map(str, paths)) + "\0")
    assert len(done.stdout.splitlines()) == 3


def test_an_oblong_size_can_be_asked_for(folder: Path, tmp_path: Path) -> None:
    model = tmp_path / "m.residua"
    files = sorted((folder / "sound").iterdir())
    done = residua("fit", *files, "-o", model, "--size", "16x24", "--epochs", 40)
    assert done.returncode == 0, done.stderr
    assert open_bundle(model).manifest.input.shape == (16, 24, 1)


def test_scores_go_to_a_pipe_as_csv(bundle: Path, folder: Path) -> None:
    done = residua("score", bundle, folder)
    rows = list(csv.DictReader(done.stdout.splitlines()))
    assert len(rows) == 33
    assert "33 scored" in done.stderr


def test_scores_are_printed_as_json_lines(bundle: Path, folder: Path) -> None:
    done = residua("score", bundle, folder, "--json")
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(rows) == 33
    assert list(rows[0]) == ["id", "score", "p", "threshold", "anomalous", "label", "error"]


def test_every_format_holds_the_same_scores(bundle: Path, folder: Path, tmp_path: Path) -> None:
    for suffix in ("csv", "jsonl", "parquet"):
        done = residua("score", bundle, folder, "--out", tmp_path / f"s.{suffix}")
        assert done.returncode == 0, done.stderr
    from_csv = [float(row["score"]) for row in read_csv(tmp_path / "s.csv")]
    from_json = [
        json.loads(row)["score"] for row in (tmp_path / "s.jsonl").read_text().splitlines()
    ]
    from_parquet = pq.read_table(tmp_path / "s.parquet")["score"].to_pylist()
    assert from_csv == from_json == from_parquet


def test_a_bad_file_is_a_row_and_exit_code_1(
    bundle: Path, with_bad_file: Path, tmp_path: Path
) -> None:
    done = residua("score", bundle, with_bad_file, "--out", tmp_path / "s.csv")
    assert done.returncode == 1
    assert "1 could not be read" in done.stderr
    rows = {row["id"]: row for row in read_csv(tmp_path / "s.csv")}
    assert len(rows) == 34
    assert rows["sound/broken.png"]["score"] == ""
    assert rows["sound/broken.png"]["error"]


def test_fail_on_anomaly_exits_with_3(bundle: Path, folder: Path) -> None:
    assert residua("score", bundle, folder, "--fail-on-anomaly").returncode == 3
    assert residua("score", bundle, folder).returncode == 0


def test_paths_are_read_from_standard_input(bundle: Path, folder: Path) -> None:
    paths = sorted((folder / "odd").iterdir())
    done = residua("score", bundle, "-", "--json", stdin="\n".join(map(str, paths)) + "\n")
    assert len(done.stdout.splitlines()) == 3


def test_several_files_can_be_named(bundle: Path, folder: Path) -> None:
    paths = sorted((folder / "odd").iterdir())
    assert len(residua("score", bundle, *paths, "--json").stdout.splitlines()) == 3


def test_heat_maps_are_written_for_each_picture(bundle: Path, folder: Path, tmp_path: Path) -> None:
    residua("score", bundle, folder, "--maps", tmp_path / "maps")
    written = sorted(p.relative_to(tmp_path / "maps") for p in (tmp_path / "maps").rglob("*.png"))
    assert len(written) == 33
    with Image.open(tmp_path / "maps" / "odd" / "00.png.png") as picture:
        assert picture.mode == "RGB"
        assert min(picture.size) >= 224


def test_info_shows_what_the_model_is(bundle: Path) -> None:
    done = residua("info", bundle)
    assert "conv" in done.stdout
    assert "conformal(0.0589)" in done.stdout
    manifest = json.loads(residua("info", bundle, "--json").stdout)
    assert manifest == json.loads(open_bundle(bundle).manifest.model_dump_json())


def test_datasets_are_listed_with_licence_and_whether_they_are_there() -> None:
    records = {
        record["name"]: record for record in json.loads(residua("datasets", "--json").stdout)
    }
    assert {"digits", "surfaces", "mnist", "fashion-mnist", "caltech101", "magnetic-tile"} <= set(
        records
    )
    assert records["digits"]["on_disk"]
    assert all(record["licence"] for record in records.values())
    assert "digits" in residua("datasets").stdout


def test_a_killed_fit_resumes_to_the_same_model(folder: Path, tmp_path: Path) -> None:
    options = ["--epochs", "120", "--seed", "5"]
    whole, killed = tmp_path / "whole.residua", tmp_path / "killed.residua"
    assert residua("fit", folder / "sound", "-o", whole, *options).returncode == 0
    process = subprocess.Popen(
        [COMMAND, "fit", str(folder / "sound"), "-o", str(killed), *options],
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("epoch 5/"):
            break
    process.kill()
    process.wait()
    process.stderr.close()
    assert not killed.exists()
    resumed = residua("fit", folder / "sound", "-o", killed, *options, "--resume")
    assert resumed.returncode == 0, resumed.stderr
    assert "epoch 1/" not in resumed.stderr
    for name in ("weights.safetensors", "calibration.npz"):
        assert (killed / name).read_bytes() == (whole / name).read_bytes()


def test_ctrl_c_saves_the_best_model_so_far_and_says_so(folder: Path, tmp_path: Path) -> None:
    model = tmp_path / "m.residua"
    process = subprocess.Popen(
        [COMMAND, "fit", str(folder / "sound"), "-o", str(model), "--epochs", "100000"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("epoch 30/"):
            break
    time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 0, said
    assert "Stopped by Ctrl-C; the weights of epoch" in said
    assert open_bundle(model).manifest.interrupted


def test_resuming_without_a_killed_fit_says_so(folder: Path, tmp_path: Path) -> None:
    done = residua("fit", folder / "sound", "-o", tmp_path / "m.residua", "--resume")
    assert done.returncode == 1
    assert "no interrupted fit" in done.stderr


@pytest.mark.parametrize("name", ["scores.csv", "scores.parquet"])
def test_a_failed_run_leaves_no_table_behind(bundle: Path, tmp_path: Path, name: str) -> None:
    residua("score", bundle, tmp_path / "nowhere", "--out", tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_fdr_judges_all_pictures_together(bundle: Path, folder: Path, tmp_path: Path) -> None:
    done = residua("score", bundle, folder, "--fdr", "0.75", "--out", tmp_path / "s.csv")
    assert done.returncode == 0, done.stderr
    rows = read_csv(tmp_path / "s.csv")
    p = [float(row["p"]) for row in rows]
    expected = benjamini_hochberg(p, 0.75).tolist()
    assert any(expected)
    assert [row["anomalous"] == "true" for row in rows] == expected
    assert f"{sum(expected)} discoveries" in done.stderr
    assert "at most 75% of them expected to be false" in done.stderr


def test_fdr_that_the_calibration_cannot_show_is_a_warning(
    bundle: Path, folder: Path, tmp_path: Path
) -> None:
    done = residua("score", bundle, folder, "--fdr", "0.05", "--out", tmp_path / "s.csv")
    assert done.returncode == 0, done.stderr
    assert "warning: nothing is discovered among 33 pictures" in done.stderr
    assert "with 16 calibration scores no p-value is below 0.059" in done.stderr
    assert "none can ever be" in done.stderr
    assert {row["anomalous"] for row in read_csv(tmp_path / "s.csv")} == {"false"}


def test_recalibrate_says_what_it_changed(bundle: Path, folder: Path, tmp_path: Path) -> None:
    model = tmp_path / "new.residua"
    done = residua("recalibrate", bundle, folder / "sound", "-o", model)
    assert done.returncode == 0, done.stderr
    assert "On 30 new normal pictures" in done.stdout
    rule = next(line for line in done.stdout.splitlines() if "rule" in line)
    assert "conformal(0.0589)" in rule
    assert "conformal(0.0323)" in rule
    assert "99 would give 1%" in done.stderr
    assert f"written: {model}" in done.stderr
    assert "recalibrated" in residua("info", model).stdout
    again = residua("recalibrate", bundle, folder / "sound", "-o", model)
    assert again.returncode == 1
    assert "--force" in again.stderr


def test_a_preview_of_recalibration_shows_the_same_table_and_writes_nothing(
    bundle: Path, folder: Path, tmp_path: Path
) -> None:
    model = Path(shutil.copytree(bundle, tmp_path / "m.residua"))
    seen = residua("recalibrate", model, folder / "sound", "--preview")
    assert seen.returncode == 0, seen.stderr
    assert "nothing was written" in seen.stderr
    assert "99 would give 1%" in seen.stderr
    found = json.loads(
        residua("recalibrate", model, folder / "sound", "--preview", "--json").stdout
    )
    assert found["path"] is None
    for file in bundle.iterdir():
        assert (model / file.name).read_bytes() == file.read_bytes()
    done = residua("recalibrate", model, folder / "sound")
    assert "nothing was written" not in done.stderr
    assert done.stdout == seen.stdout
    assert open_bundle(model).manifest.threshold.upper == found["threshold"]["upper"]


def test_recalibrate_with_labelled_anomalies_replaces_the_model(
    bundle: Path, folder: Path, tmp_path: Path
) -> None:
    model = Path(shutil.copytree(bundle, tmp_path / "m.residua"))
    options = ["--threshold", "youden", "--anomalous", folder / "odd", "--json"]
    done = residua("recalibrate", model, folder / "sound", *options)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["threshold"]["n_anomalous"] == found["anomalous"] == 3
    assert open_bundle(model).manifest.threshold.rule == "youden"
    rows = residua("score", model, folder / "odd", "--json").stdout.splitlines()
    assert [json.loads(row)["anomalous"] for row in rows] == [True] * 3


def test_a_reader_that_leaves_early_is_no_error(bundle: Path, folder: Path) -> None:
    done = subprocess.run(
        f"{COMMAND} score {bundle} {folder} --json | head -n 1",
        shell=True,
        capture_output=True,
        text=True,
        check=False,
    )
    assert len(done.stdout.splitlines()) == 1
    assert "Traceback" not in done.stderr


def test_evaluate_measures_with_intervals(bundle: Path, folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "evaluation.json"
    done = residua(
        "evaluate", bundle, folder, "--normal", "sound", "--resamples", 100, "--out", out
    )
    assert done.returncode == 0, done.stderr
    assert "AUROC" in done.stdout
    assert "3 of 3 anomalous" in done.stdout
    assert json.loads(out.read_text())["ranking"]["auroc"]["value"] == 1.0


def test_evaluate_prints_json(bundle: Path, folder: Path) -> None:
    done = residua("evaluate", bundle, folder, "--anomalous", "odd", "--json")
    assert json.loads(done.stdout)["confusion"]["true_positives"] == 3


@pytest.mark.parametrize(
    ("named", "said"),
    [
        (["--normal", "sond"], "did you mean 'sound'"),
        ([], "name the normal or the anomalous classes"),
        (["--normal", "sound", "--anomalous", "sound"], "name it once"),
    ],
)
def test_evaluate_refuses_classes_that_do_not_fit(
    bundle: Path, folder: Path, named: list[str], said: str
) -> None:
    done = residua("evaluate", bundle, folder, *named)
    assert done.returncode == 1
    assert said in done.stderr


def test_an_evaluation_into_a_missing_folder_is_one_line(bundle: Path, folder: Path) -> None:
    done = residua("evaluate", bundle, folder, "--normal", "sound", "--out", "no/where.json")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "no/where.json" in done.stderr
