"""Which licences a dependency may have."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("license_expression")
from supply.installed import closure
from supply.licences import EXEMPTIONS, licence, refused
from supply.requirements import requirements


def install(folder: Path, name: str, *lines: str) -> None:
    info = folder / f"{name.replace('-', '_')}-1.0.dist-info"
    info.mkdir()
    metadata = ["Metadata-Version: 2.4", f"Name: {name}", "Version: 1.0", *lines]
    (info / "METADATA").write_text("\n".join(metadata) + "\n")


def lines_about(folder: Path, name: str) -> list[str]:
    return refused(closure([name], [str(folder)]))


@pytest.mark.parametrize(
    "line",
    [
        "License-Expression: MIT",
        "License-Expression: GPL-3.0-only OR MIT",
        "License-Expression: Apache-2.0 AND (BSD-3-Clause OR LGPL-3.0-only)",
        "License-Expression: Apache-2.0 WITH LLVM-exception",
        "Classifier: License :: OSI Approved :: BSD License",
        "License: Apache 2.0",
        "License: MIT",
    ],
)
def test_a_permissive_licence_passes(line: str, tmp_path: Path) -> None:
    install(tmp_path, "thing", line)
    assert lines_about(tmp_path, "thing") == []


@pytest.mark.parametrize(
    "line",
    [
        "License-Expression: GPL-3.0-only",
        "License-Expression: MIT AND AGPL-3.0-or-later",
        "License-Expression: GPL-2.0-only WITH Classpath-exception-2.0",
        "License-Expression: LGPL-3.0-only",
        "License-Expression: LicenseRef-NVIDIA-Proprietary",
        "Classifier: License :: OSI Approved :: GNU General Public License v3 (GPLv3)",
        "License: All rights reserved",
        "Summary: names none",
    ],
)
def test_any_other_licence_fails(line: str, tmp_path: Path) -> None:
    install(tmp_path, "thing", line)
    (said,) = lines_about(tmp_path, "thing")
    assert said.startswith("thing 1.0: ")


def test_all_of_several_classifiers_have_to_be_allowed(tmp_path: Path) -> None:
    install(
        tmp_path,
        "thing",
        "Classifier: License :: OSI Approved :: MIT License",
        "Classifier: License :: OSI Approved :: GNU Affero General Public License v3",
    )
    assert len(lines_about(tmp_path, "thing")) == 1


def test_what_a_dependency_brings_is_looked_at_as_well(tmp_path: Path) -> None:
    install(tmp_path, "outer", "License-Expression: MIT", 'Requires-Dist: inner; extra == "x"',
            "Provides-Extra: x")  # fmt: skip
    install(tmp_path, "inner", "License-Expression: GPL-3.0-only")
    assert lines_about(tmp_path, "outer") == []
    assert lines_about(tmp_path, "outer[x]") == ["inner 1.0: GPL-3.0-only"]


def test_an_exemption_is_for_its_distributions_alone(tmp_path: Path) -> None:
    install(tmp_path, "psycopg-binary", "License-Expression: LGPL-3.0-only")
    install(tmp_path, "nvidia-nccl-cu13", "License-Expression: LGPL-3.0-only")
    assert lines_about(tmp_path, "psycopg-binary") == []
    assert len(lines_about(tmp_path, "nvidia-nccl-cu13")) == 1
    assert all(one.reason for one in EXEMPTIONS)


def test_the_package_that_only_names_the_libraries_of_cuda_may_name_no_licence(
    tmp_path: Path,
) -> None:
    install(tmp_path, "cuda-toolkit")
    install(tmp_path, "cuda-bindings")
    assert lines_about(tmp_path, "cuda-toolkit") == []
    assert lines_about(tmp_path, "cuda-bindings") == ["cuda-bindings 1.0: none named"]


def test_everything_that_residua_brings_is_allowed() -> None:
    found = closure(requirements("all"))
    assert licence(found["pillow"].distribution) == "MIT-CMU"
    assert refused(found) == []
