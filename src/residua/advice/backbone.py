"""Whether a pretrained network would see more than pixels tell a small one."""

from __future__ import annotations

from residua.advice.finding import Finding
from residua.advice.intervals import auroc_interval
from residua.advice.study import Study
from residua.advice.wording import area, area_span

CHECK = "backbone"
ENOUGH = 0.9
"""An AUROC whose interval lies below this leaves something to gain."""
FEW = 1_000
"""Training pictures from which a network learns little of large colour pictures."""
_LARGE = 64
_COLOUR = 3
# From docs/quality.md: AUROC on Caltech-101's protocol, mean of three seeds.
WORTH = (
    "In docs/quality.md, 101 kinds of photographs against others, rebuilding pretrained features "
    "gave an AUROC of 0.90 where rebuilding pixels gave 0.47, which is chance."
)
"""What a backbone was worth where it was measured."""


def pretrained_backbone(study: Study) -> Finding:
    """Look for signs that pixels tell this network too little.

    They are an AUROC that is known to be below 0.9, a network that rebuilds no better than PCA,
    and fewer than 1,000 training pictures in colour that are larger than 64 pixels.
    """
    manifest = study.scored.manifest
    checks, height, width = manifest.checks, manifest.input.height, manifest.input.width
    numbers: dict[str, float] = {"training": manifest.data.training}
    if not manifest.model.rebuilds_pixels:
        return Finding(
            check=CHECK,
            severity="fine",
            title="The model sees its pictures by a pretrained backbone.",
            evidence=f"It rebuilds the features of {_name(study)}.",
            action="",
            numbers=numbers,
        )
    signs = []
    auroc = None if study.truth is None else auroc_interval(study.truth, study.scored.scores)
    if auroc is not None:
        numbers |= {"auroc": auroc.value, "auroc_low": auroc.low, "auroc_high": auroc.high}
        if auroc.high < ENOUGH:
            signs.append(
                f"the AUROC is {area(auroc.value)} ({area_span(auroc.low, auroc.high)}), below "
                f"{ENOUGH:g}"
            )
    if checks.pca_mse is not None and checks.network_mse >= checks.pca_mse:
        numbers |= {"network_mse": checks.network_mse, "pca_mse": checks.pca_mse}
        signs.append(
            f"the network rebuilds no better than PCA (mean squared error {checks.network_mse:.3g} "
            f"against {checks.pca_mse:.3g})"
        )
    large_colour = manifest.input.channels == _COLOUR and max(height, width) > _LARGE
    if large_colour and manifest.data.training < FEW:
        signs.append(
            f"{manifest.data.training:,} training pictures are few for colour at {height} × {width}"
        )
    if not signs:
        return Finding(
            check=CHECK,
            severity="fine",
            title="Nothing says that pixels tell this network too little.",
            evidence="Looked for: an AUROC below 0.9, a network no better than PCA, and fewer than "
            f"{FEW:,} training pictures in colour that are larger than {_LARGE} pixels.",
            action="",
            numbers=numbers,
        )
    said = "; ".join(signs)
    return Finding(
        check=CHECK,
        severity="advice",
        title="A pretrained backbone may see what this network does not.",
        evidence=f"{said[0].upper()}{said[1:]}. {WORTH}",
        action=(
            "Fit on the features of a pretrained network: residua fit TRUSTED_PICTURES -o "
            "NAME.residua --backbone FILE, an ONNX file or a name as timm:NAME. Compare both with "
            "residua evaluate, or with residua compare --backbone FILE first: it helps where "
            "pictures differ in what they show, and less where they are unlike any photograph."
        ),
        numbers=numbers,
    )


def _name(study: Study) -> str:
    record = study.scored.manifest.model.backbone
    assert record is not None
    return record.name
