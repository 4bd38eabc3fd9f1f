"""How long many machines take for very many pictures, from what one picture costs here.

    scripts/bench scale_simulation [--pictures 1e9] [--nodes 100] [--cores 16] [--side 256] [--page]

What a picture costs is measured by ``scripts/bench cluster_scoring --page`` and read from
docs/results/cluster-costs.json. What a cloud gives and asks for is assumed: see `Cloud`. The driver
lists the pictures; parts are dealt to cores one by one, parts differ in duration, nodes are lost
and come back; what was in work on a lost node is done again.
"""

from __future__ import annotations

import argparse
import heapq
import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from _page import DOCS, between_marks
from _table import markdown
from residua.cluster.parts import part_size_for
from residua.images.preprocess import InputSpec
from residua.images.remote_folder import REQUESTS_AT_ONCE

COSTS = DOCS / "results" / "cluster-costs.json"
PAGE = DOCS / "scale.md"


@dataclass(frozen=True)
class Costs:
    """What was measured of one picture, in seconds of one processor and in bytes."""

    reading: float
    """Reading a file and decoding it."""
    computing: float
    """The network, the score and the verdict."""
    rest: float
    """Writing its row, and the like."""
    naming: float
    """The driver's time to name a file; listing a store is not in it."""
    naming_row: float
    """The driver's time to name a row of a Parquet file, likewise."""
    handing: float
    """The time of driver and Ray to hand out a part and take the answer."""
    bytes_read: float
    bytes_named: float
    """What the driver holds of it."""
    bytes_written: float


@dataclass(frozen=True)
class Cloud:
    """What is assumed of the machines and the store; prices in US dollars."""

    nodes: int = 100
    cores: int = 16
    network_bytes_s: float = 1.25e9
    """Of a node: 10 Gbit/s."""
    store_requests_s: float = 5_500
    """GET requests that the store answers for one prefix."""
    store_latency_s: float = 0.03
    names_s: float = 5_000
    """Names that a listing gives: 1,000 a request."""
    node_losses_per_hour: float = 0.01
    """How often a node is lost: one of a hundred in an hour, as spot machines are."""
    node_return_s: float = 180.0
    """Until another node is there in its place."""
    speed_spread: float = 0.1
    """Standard deviation of the logarithm of a part's duration."""
    node_price_hour: float = 0.714
    """Of a machine with 16 processors."""
    price_per_million_gets: float = 0.40
    price_per_million_puts: float = 5.00


@dataclass(frozen=True)
class Layout:
    """How pictures lie in the store."""

    name: str
    pictures_per_object: int
    pictures_per_request: int


SINGLE = Layout("an object for each picture", 1, 1)
PARQUET = Layout("Parquet files of 10,000, read in groups of 1,000", 10_000, 1_000)


@dataclass(frozen=True)
class Task:
    """Very many pictures to score."""

    pictures: int
    part: int
    """Pictures in a part."""
    layout: Layout


@dataclass(frozen=True)
class Outcome:
    """What a simulated run took."""

    listing_hours: float
    hours: float
    """From the end of the listing on."""
    utilisation: float
    """Share of the cores' time that went into parts that were finished."""
    parts: int
    repeated: int
    """Parts that were begun again, since their node was lost."""


def simulate(task: Task, costs: Costs, cloud: Cloud, seed: int = 0) -> Outcome:
    """List the pictures, then deal parts to cores until all are done.

    Parameters
    ----------
    task : Task
    costs : Costs
    cloud : Cloud
    seed : int, default=0
        Of the parts' durations and of the moments at which nodes are lost.
    """
    rng = np.random.default_rng(seed)
    parts = -(-task.pictures // task.part)
    nominal = task.part * picture_seconds(task.layout, costs, cloud)
    spread = cloud.speed_spread
    # Nobody works while pictures are named, before the run and before each wave of parts.
    named = task.pictures * naming_seconds(task.layout, costs)
    free = [(named, node) for node in range(cloud.nodes) for _ in range(cloud.cores)]
    heapq.heapify(free)
    mean_life = 3600 / cloud.node_losses_per_hour if cloud.node_losses_per_hour else np.inf
    lost_at = _lives(rng, mean_life, cloud.nodes)
    waiting, repeated, dealt_at, useful, end = parts, 0, named, 0.0, 0.0
    while waiting:
        start, node = heapq.heappop(free)
        if start >= lost_at[node]:
            # Every core of the node passes here once; the first that is back draws its next life.
            back = lost_at[node] + cloud.node_return_s
            if start >= back:
                lost_at[node] = back + _lives(rng, mean_life, 1)[0]
            heapq.heappush(free, (max(start, back), node))
            continue
        dealt_at = max(dealt_at + costs.handing, start)
        duration = nominal * float(np.exp(rng.normal(-spread * spread / 2, spread)))
        finish = dealt_at + duration
        if finish > lost_at[node]:
            repeated += 1
            heapq.heappush(free, (lost_at[node] + cloud.node_return_s, node))
            continue
        waiting -= 1
        useful += duration
        end = max(end, finish)
        heapq.heappush(free, (finish, node))
    listing = task.pictures / task.layout.pictures_per_object / cloud.names_s
    share = useful / (end * cloud.nodes * cloud.cores)
    return Outcome(listing / 3600, end / 3600, share, parts, repeated)


def picture_seconds(layout: Layout, costs: Costs, cloud: Cloud) -> float:
    """Return how long a core works at a picture: by the slowest of core, network and store."""
    cores = cloud.nodes * cloud.cores
    return max(
        costs.reading + costs.computing + costs.rest,
        cloud.store_latency_s / layout.pictures_per_request / REQUESTS_AT_ONCE,
        costs.bytes_read / (cloud.network_bytes_s / cloud.cores),
        cores / layout.pictures_per_request / cloud.store_requests_s,
    )


def naming_seconds(layout: Layout, costs: Costs) -> float:
    """Return how long the driver works at naming a picture."""
    return costs.naming if layout.pictures_per_object == 1 else costs.naming_row


def bounds(task: Task, costs: Costs, cloud: Cloud) -> list[tuple[str, float]]:
    """Return the hours that each resource alone would take, the longest first."""
    cores = cloud.nodes * cloud.cores
    n, layout = task.pictures, task.layout
    requests = n / layout.pictures_per_request
    seconds = {
        "listing, by the driver": n / layout.pictures_per_object / cloud.names_s,
        "requests that the store answers for one prefix": requests / cloud.store_requests_s,
        "cores: network, score and verdict": n * costs.computing / cores,
        "cores: reading and decoding": n * costs.reading / cores,
        "cores: rows": n * costs.rest / cores,
        "waiting for the store": requests * cloud.store_latency_s / REQUESTS_AT_ONCE / cores,
        "the nodes' network cards": n * costs.bytes_read / cloud.network_bytes_s / cloud.nodes,
        "naming pictures, by the driver": n * naming_seconds(layout, costs),
        "handing out parts, by the driver and Ray": n / task.part * costs.handing,
    }
    return sorted(
        ((what, value / 3600) for what, value in seconds.items()), key=lambda one: -one[1]
    )


def price(task: Task, cloud: Cloud, hours: float) -> dict[str, float]:
    """Return what a run costs, in US dollars, by what is paid for."""
    requests = task.pictures / task.layout.pictures_per_request
    parts = -(-task.pictures // task.part)
    return {
        "nodes": cloud.nodes * hours * cloud.node_price_hour,
        "reading requests": requests / 1e6 * cloud.price_per_million_gets,
        "writing requests": parts / 1e6 * cloud.price_per_million_puts,
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the tables; with ``--page`` set them into docs/scale.md."""
    options = _parser().parse_args(arguments)
    costs, cloud = _measured(), Cloud(nodes=options.nodes, cores=options.cores)
    pictures = int(options.pictures)
    spec = InputSpec(height=options.side, width=options.side, channels=3)
    part = part_size_for(pictures, spec, cloud.nodes * cloud.cores)
    text = _text([Task(pictures, part, layout) for layout in (PARQUET, SINGLE)], costs, cloud)
    print(text)
    if options.page:
        page = between_marks(PAGE.read_text(encoding="utf-8"), "simulation", text)
        PAGE.write_text(page, encoding="utf-8")


def _text(tasks: Sequence[Task], costs: Costs, cloud: Cloud) -> str:
    told = [_told(task, costs, cloud) for task in tasks]
    alone = [dict(bounds(task, costs, cloud)) for task in tasks]
    layouts = [task.layout.name for task in tasks]
    pictures = f"{tasks[0].pictures:,} pictures on {cloud.nodes:,} nodes of {cloud.cores} cores"
    return "\n\n".join(
        [
            f"**{pictures}**, simulated with three seeds",
            markdown(("", *layouts), [(what, *(one[what] for one in told)) for what in told[0]]),
            "**What each resource alone would take, in hours**",
            markdown(
                ("", *layouts),
                [(what, *(f"{one[what]:.3f}" for one in alone)) for what in alone[0]],
            ),
        ]
    )


def _told(task: Task, costs: Costs, cloud: Cloud) -> dict[str, str]:
    runs = [simulate(task, costs, cloud, seed) for seed in range(3)]
    hours = sorted(run.hours for run in runs)
    paid = price(task, cloud, runs[0].listing_hours + hours[1])
    return {
        "listing": f"{runs[0].listing_hours:.2f} h",
        "scoring": f"{hours[1]:.2f} h ({hours[0]:.2f} to {hours[-1]:.2f})",
        "cores at work while scoring": f"{min(run.utilisation for run in runs):.1%}",
        "parts": f"{runs[0].parts:,} of {task.part:,} pictures",
        "parts begun again, their node was lost": f"{max(run.repeated for run in runs):,} at most",
        **{f"price: {what}": f"{amount:,.2f} $" for what, amount in paid.items()},
        "price in all": f"{sum(paid.values()):,.0f} $",
        "names that the driver holds": f"{_names(task, costs) / 1e9:,.1f} GB",
        "rows written": f"{task.pictures * costs.bytes_written / 1e9:,.0f} GB",
    }


def _names(task: Task, costs: Costs) -> float:
    return task.pictures / task.layout.pictures_per_object * costs.bytes_named


def _lives(rng: np.random.Generator, mean: float, count: int) -> list[float]:
    return [float("inf")] * count if np.isinf(mean) else rng.exponential(mean, count).tolist()


def _measured() -> Costs:
    if not COSTS.exists():
        raise SystemExit(f"{COSTS.name} is not there: measure with scripts/bench cluster_scoring")
    found = json.loads(Path(COSTS).read_text(encoding="utf-8"))
    return Costs(**{field.name: found[field.name] for field in fields(Costs)})


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--pictures", type=float, default=1e9)
    parser.add_argument("--nodes", type=int, default=100)
    parser.add_argument("--cores", type=int, default=16, help="of each node")
    parser.add_argument("--side", type=int, default=256, help="of a picture, in pixels")
    parser.add_argument("--page", action="store_true", help="set the tables into docs/scale.md")
    return parser


if __name__ == "__main__":
    main()
