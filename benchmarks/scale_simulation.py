"""How long many machines take for very many pictures, from what one picture costs here.

    scripts/bench scale_simulation [--pictures 1e9] [--nodes 100] [--cores 16] [--page]

What a picture and a part cost is measured by ``scripts/bench cluster_scoring --page`` and read from
docs/results/cluster-costs.json. What a cloud gives and asks for is assumed: see `Cloud`. Parts are
dealt to cores one by one, cores differ in speed, nodes are lost and come back; what was in work on
a lost node is done again.
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

COSTS = DOCS / "results" / "cluster-costs.json"
PAGE = DOCS / "scale.md"


@dataclass(frozen=True)
class Costs:
    """What was measured."""

    picture_bytes: float
    """Size of a picture's file."""
    read_s: float
    """Waiting for a picture's bytes from a store, with as many requests at once as a worker has."""
    decode_s: float
    """Processor time to decode a picture and bring it to the input's size."""
    compute_s: float
    """Processor time to score it."""
    part_s: float
    """What a part of many pictures costs a worker beside its pictures."""
    driver_s: float
    """What a part costs the driver, which deals them all."""
    part_pictures: int
    """Pictures in a part."""
    row_bytes: float
    """Bytes of a picture's row in the result."""


@dataclass(frozen=True)
class Cloud:
    """What is assumed of the machines and the store; prices in US dollars."""

    nodes: int = 100
    cores: int = 16
    network_bytes_s: float = 1.25e9
    """Of a node: 10 Gbit/s."""
    store_requests_s: float = 5_500 * 16
    """GET requests that the store answers: 5,500 for each prefix, over 16 prefixes."""
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
class Outcome:
    """What a simulated run took."""

    hours: float
    utilisation: float
    """Share of the cores' time that went into parts that were finished."""
    parts: int
    repeated: int
    """Parts that were begun again, since their node was lost."""


def simulate(pictures: int, costs: Costs, cloud: Cloud, seed: int = 0) -> Outcome:
    """Deal parts to cores until all are done.

    Parameters
    ----------
    pictures : int
    costs : Costs
    cloud : Cloud
    seed : int, default=0
        Of the parts' durations and of the moments at which nodes are lost.
    """
    rng = np.random.default_rng(seed)
    parts = -(-pictures // costs.part_pictures)
    nominal = part_seconds(costs, cloud)
    spread = cloud.speed_spread
    free = [(0.0, node) for node in range(cloud.nodes) for _ in range(cloud.cores)]
    heapq.heapify(free)
    mean_life = 3600 / cloud.node_losses_per_hour if cloud.node_losses_per_hour else np.inf
    lost_at = _lives(rng, mean_life, cloud.nodes)
    waiting, repeated, dealt_at, useful, end = parts, 0, 0.0, 0.0, 0.0
    while waiting:
        start, node = heapq.heappop(free)
        if start >= lost_at[node]:
            # Every core of the node passes here once; the first that does draws its next life.
            back = lost_at[node] + cloud.node_return_s
            if start >= back:
                lost_at[node] = back + _lives(rng, mean_life, 1)[0]
            heapq.heappush(free, (max(start, back), node))
            continue
        dealt_at = max(dealt_at + costs.driver_s, start)
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
    return Outcome(end / 3600, useful / (end * cloud.nodes * cloud.cores), parts, repeated)


def part_seconds(costs: Costs, cloud: Cloud) -> float:
    """Return how long a core works at a part: the slowest of processor, network and store."""
    cores = cloud.nodes * cloud.cores
    each = max(
        costs.decode_s + costs.compute_s,
        costs.read_s,
        costs.picture_bytes / (cloud.network_bytes_s / cloud.cores),
        cores / cloud.store_requests_s,
    )
    return costs.part_s + costs.part_pictures * each


def bounds(pictures: int, costs: Costs, cloud: Cloud) -> list[tuple[str, float]]:
    """Return the hours that each resource alone would take, the longest first."""
    cores = cloud.nodes * cloud.cores
    parts = pictures / costs.part_pictures
    seconds = {
        "decoding": pictures * costs.decode_s / cores,
        "the network's arithmetic": pictures * costs.compute_s / cores,
        "waiting for the store, in each worker": pictures * costs.read_s / cores,
        "starting parts and writing their rows": parts * costs.part_s / cores,
        "the nodes' network": pictures * costs.picture_bytes / cloud.network_bytes_s / cloud.nodes,
        "requests that the store answers": pictures / cloud.store_requests_s,
        "the driver, which deals the parts": parts * costs.driver_s,
    }
    return sorted(
        ((name, value / 3600) for name, value in seconds.items()), key=lambda one: -one[1]
    )


def price(pictures: int, costs: Costs, cloud: Cloud, hours: float) -> dict[str, float]:
    """Return what a run costs, in US dollars, by what is paid for."""
    parts = -(-pictures // costs.part_pictures)
    return {
        "nodes": cloud.nodes * hours * cloud.node_price_hour,
        "reading requests": pictures / 1e6 * cloud.price_per_million_gets,
        "writing requests": parts / 1e6 * cloud.price_per_million_puts,
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the tables; with ``--page`` set them into docs/scale.md."""
    options = _parser().parse_args(arguments)
    costs, cloud = _measured(), Cloud(nodes=options.nodes, cores=options.cores)
    pictures = int(options.pictures)
    text = _text(pictures, costs, cloud)
    print(text)
    if options.page:
        page = between_marks(PAGE.read_text(encoding="utf-8"), "simulation", text)
        PAGE.write_text(page, encoding="utf-8")


def _text(pictures: int, costs: Costs, cloud: Cloud) -> str:
    runs = [simulate(pictures, costs, cloud, seed) for seed in range(3)]
    hours = [run.hours for run in runs]
    middle = sorted(hours)[1]
    paid = price(pictures, costs, cloud, middle)
    rows = [
        ("time", f"{middle:.2f} h ({min(hours):.2f} to {max(hours):.2f})"),
        ("cores at work", f"{min(run.utilisation for run in runs):.1%} or more of the time"),
        ("parts", f"{runs[0].parts:,} of {costs.part_pictures:,} pictures"),
        (
            "parts begun again, their node was lost",
            f"{max(run.repeated for run in runs):,} at most",
        ),
        *((f"price: {name}", f"{amount:,.0f} $") for name, amount in paid.items()),
        ("price in all", f"{sum(paid.values()):,.0f} $"),
        ("rows written", f"{pictures * costs.row_bytes / 1e9:,.0f} GB"),
    ]
    alone = [(name, f"{value:.3f} h") for name, value in bounds(pictures, costs, cloud)]
    nodes = f"{cloud.nodes:,} nodes of {cloud.cores} cores"
    return "\n\n".join(
        [
            f"**{pictures:,} pictures on {nodes}** (three seeds)",
            markdown(("what", "simulated"), rows),
            "**What each resource alone would take**",
            markdown(("resource", "time"), alone),
        ]
    )


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
    parser.add_argument("--page", action="store_true", help="set the tables into docs/scale.md")
    return parser


if __name__ == "__main__":
    main()
