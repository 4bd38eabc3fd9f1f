"""The actor beside the driver that has Ray Train gather workers, and passes news both ways."""

from __future__ import annotations

import contextlib
from typing import Any, NamedTuple

from residua.cluster.state import SharedState
from residua.cluster.training import Job, Trained, train_share
from residua.errors import ResiduaError

# A driver asks for news, a worker tells some, while the group trains.
_CALLS_AT_ONCE = 8


class Lost(NamedTuple):
    """A group of workers has ended by a failure."""

    why: str


class Failed(NamedTuple):
    """Training ended by failures, more than are allowed, or by one that would come again."""

    why: str
    error: ResiduaError | None
    """What a worker raised on purpose."""


class Conductor:
    """Runs one attempt at a fit and knows what happens meanwhile; a Ray actor with threads."""

    def __init__(self) -> None:
        self._news: list[Any] = []
        self._stopping = False

    def run(self, job: Job, state: SharedState, workers: int, restarts: int) -> Trained | Failed:
        """Train until the workers are done, or have failed too often."""
        import ray.train
        import ray.train.torch

        api: Any = ray.train  # its types are those of its first version, its classes are not
        try:
            filesystem, path, name = state.of_ray()
            trainer = api.torch.TorchTrainer(
                train_share,
                train_loop_config={"job": job},
                scaling_config=api.ScalingConfig(
                    num_workers=(1, workers) if workers > 1 else 1,
                    use_gpu=job.settings.device == "cuda",
                ),
                run_config=api.RunConfig(
                    name=name,
                    storage_path=path,
                    storage_filesystem=filesystem,
                    failure_config=api.FailureConfig(max_failures=restarts),
                    checkpoint_config=api.CheckpointConfig(num_to_keep=1),
                    callbacks=[_tells_losses(job.conductor)],
                    logging_config=api.LoggingConfig(log_level="ERROR"),
                ),
            )
            found = trainer.fit().return_value
        # Whatever it is, the driver is to say it in its own words.
        except Exception as error:
            causes = _causes(error)
            meant = next((cause for cause in causes if isinstance(cause, ResiduaError)), None)
            return Failed(_in_a_line(causes[0]), meant)
        if isinstance(found, Trained):
            return found
        return Failed(str(found), found if isinstance(found, ResiduaError) else None)

    def tell(self, news: Any) -> None:
        """Keep news for the driver."""
        self._news.append(news)

    def news(self, since: int) -> list[Any]:
        """Return all news but the first ``since``."""
        return self._news[since:]

    def stop(self) -> None:
        """Have the workers end after the step that they agree on."""
        self._stopping = True

    def stopping(self) -> bool:
        """Say whether they are to end."""
        return self._stopping


@contextlib.contextmanager
def conducted() -> Any:
    """Yield a conductor on this machine; it and all that it began end with the block."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    actor: Any = ray.remote(Conductor).options(
        num_cpus=0, max_concurrency=_CALLS_AT_ONCE, scheduling_strategy=here
    )
    conductor: Any = actor.remote()
    try:
        yield conductor
    finally:
        with contextlib.suppress(Exception):  # the cluster may be gone
            ray.kill(conductor)


def _tells_losses(conductor: Any) -> Any:
    from ray.train import UserCallback

    class TellLosses(UserCallback):
        def after_exception(self, run_context: Any, worker_exceptions: dict[int, Any]) -> None:
            why = "; ".join(
                f"worker {rank}: {_in_a_line(error)}" for rank, error in worker_exceptions.items()
            )
            conductor.tell.remote(Lost(why))

    return TellLosses()


def _causes(error: BaseException) -> list[BaseException]:
    """Return what the workers raised, those first that raised something of their own."""
    failures = list(getattr(error, "worker_failures", {}).values())
    found = [cause for failure in failures for cause in (failure, getattr(failure, "cause", None))]
    every = [cause for cause in found if isinstance(cause, BaseException)]
    controller = getattr(error, "controller_failure", None)
    return every or [controller if isinstance(controller, BaseException) else error]


def _in_a_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:300]
