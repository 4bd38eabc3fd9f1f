"""What the record of the fit says against the model."""

from __future__ import annotations

from residua.advice.finding import Finding
from residua.advice.study import Study
from residua.manifest import Manifest

CHECK = "fit"
# By how much the last loss must exceed the best, and the last tenth of a training must lower it.
_RISEN = 1.05
_STILL_FALLING = 0.02


def record_of_fit(study: Study) -> list[Finding]:
    """Repeat what matters in the record: a linear code is better, no bottleneck, training."""
    manifest = study.scored.manifest
    checks = manifest.checks
    found = [
        finding
        for finding in (
            _worse_than_pca(manifest),
            _no_bottleneck(manifest),
            _interrupted(manifest),
            _training(manifest),
        )
        if finding is not None
    ]
    if found:
        return found
    features = not manifest.model.rebuilds_pixels
    beside = f"mean squared error {'of features ' if features else ''}{checks.network_mse:.3g}"
    if checks.pca_mse is not None:
        beside += f", PCA with {checks.pca_components} components {checks.pca_mse:.3g}"
    return [
        Finding(
            check=CHECK,
            severity="fine",
            title="The fit was sound.",
            evidence=f"On validation pictures: {beside}, "
            f"{'their mean' if features else 'the mean picture'} {checks.mean_image_mse:.3g}; a "
            f"code of {checks.code_size:,} numbers for {checks.picture_size:,}.",
            action="",
            numbers={"network_mse": checks.network_mse, "mean_image_mse": checks.mean_image_mse},
        )
    ]


def _worse_than_pca(manifest: Manifest) -> Finding | None:
    checks = manifest.checks
    if checks.pca_mse is None or checks.network_mse <= checks.pca_mse:
        return None
    one_cycle = manifest.training.schedule == "one-cycle"
    return Finding(
        check=f"{CHECK}-pca",
        severity="advice",
        title="PCA with a code of the same size rebuilds better than the network.",
        evidence=(
            f"Mean squared error on validation pictures: network {checks.network_mse:.3g}, PCA "
            f"with {checks.pca_components} components {checks.pca_mse:.3g}, the mean picture "
            f"{checks.mean_image_mse:.3g}."
        ),
        action=(
            "Train longer (--epochs), "
            + ("" if one_cycle else "with --schedule one-cycle, ")
            + "with a smaller --latent-dim, or with another --model or --learning-rate, until the "
            "network is worth its cost."
        ),
        numbers={"network_mse": checks.network_mse, "pca_mse": checks.pca_mse},
    )


def _no_bottleneck(manifest: Manifest) -> Finding | None:
    checks = manifest.checks
    if checks.code_size < checks.picture_size:
        return None
    return Finding(
        check=f"{CHECK}-bottleneck",
        severity="warning",
        title="The network has no bottleneck: it can copy pictures that it has never seen.",
        evidence=(
            f"The code has {checks.code_size:,} numbers and the picture {checks.picture_size:,}."
        ),
        action="Fit with --model conv, or with a --latent-dim well below the picture's size.",
        numbers={"code_size": checks.code_size, "picture_size": checks.picture_size},
    )


def _interrupted(manifest: Manifest) -> Finding | None:
    if not manifest.interrupted:
        return None
    done, wanted = len(manifest.history), manifest.training.epochs
    return Finding(
        check=f"{CHECK}-interrupted",
        severity="advice",
        title="Training was interrupted.",
        evidence=f"{done} of {wanted} epochs were made; the best weights so far were kept.",
        action="Fit again to the end.",
        numbers={"epochs": done, "epochs_wanted": wanted},
    )


def _training(manifest: Manifest) -> Finding | None:
    """Say whether training ended too early or too late."""
    history = manifest.history
    if len(history) < 4:
        return None
    losses = [record.val_loss for record in history]
    best = min(range(len(losses)), key=losses.__getitem__)
    fitted_on = history[-1].train_loss < history[best].train_loss
    if losses[-1] > _RISEN * losses[best] and fitted_on:
        return Finding(
            check=f"{CHECK}-overfit",
            severity="advice",
            title="The network began to learn its training pictures by heart.",
            evidence=(
                f"The validation loss rose from {losses[best]:.3g} in epoch {best + 1} to "
                f"{losses[-1]:.3g} in epoch {len(losses)}, while the training loss fell; the "
                f"weights of epoch {best + 1} were kept."
            ),
            action=(
                "Give more pictures, or fit with a smaller --latent-dim; more epochs do not help."
            ),
            numbers={"best_loss": losses[best], "last_loss": losses[-1], "best_epoch": best + 1},
        )
    # A cycle of the learning rate ends at almost nothing, so its last epoch is mostly the best.
    before = min(losses[: -max(1, len(losses) // 10)])
    falling = 1 - losses[-1] / before if before > 0 else 0.0
    if best != len(losses) - 1 or falling < _STILL_FALLING:
        return None
    return Finding(
        check=f"{CHECK}-epochs",
        severity="advice",
        title="Training ended while the loss was still falling.",
        evidence=(
            f"The last of {len(losses)} epochs was the best, and the last tenth of them lowered "
            f"the validation loss by {100 * falling:.1f}%, to {losses[-1]:.3g}."
        ),
        action=f"Train longer, such as --epochs {2 * len(losses)}.",
        numbers={"epochs": len(losses), "still_falling": falling},
    )
