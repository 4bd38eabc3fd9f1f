"""The simulation of many machines against what can be worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from scale_simulation import (
    PARQUET,
    SINGLE,
    Cloud,
    Costs,
    Task,
    bounds,
    picture_seconds,
    price,
    simulate,
)

COSTS = Costs(
    reading=0.002,
    computing=0.003,
    rest=0.0005,
    naming=0.0,
    naming_row=0.0,
    handing=0.0,
    bytes_read=10_000,
    bytes_named=60,
    bytes_written=50,
)
CALM = Cloud(nodes=5, cores=4, node_losses_per_hour=0, speed_spread=0)
TASK = Task(pictures=200_000, part=1_000, layout=PARQUET)


def test_equal_parts_on_calm_cores_take_rounds_of_one_part() -> None:
    outcome = simulate(TASK, COSTS, CALM)

    # 200 parts on 20 cores: ten rounds of 1,000 * 5.5 ms.
    assert outcome.hours * 3600 == pytest.approx(10 * 5.5)
    assert outcome.utilisation == pytest.approx(1.0)
    assert outcome.repeated == 0


def test_a_slow_driver_is_what_all_wait_for() -> None:
    slow = replace(COSTS, handing=10.0)

    outcome = simulate(TASK, slow, CALM)

    assert outcome.hours * 3600 == pytest.approx(200 * 10 + 5.5)
    assert bounds(TASK, slow, CALM)[0] == (
        "handing out parts, by the driver and Ray",
        pytest.approx(2_000 / 3600),
    )


def test_nobody_works_while_pictures_are_named() -> None:
    named = replace(COSTS, naming=0.02, naming_row=0.01)
    files = replace(TASK, layout=SINGLE)
    calm = simulate(TASK, COSTS, CALM).hours
    for task, seconds in ((TASK, 2_000), (files, 4_000)):
        rest = simulate(task, COSTS, CALM).hours
        assert simulate(task, named, CALM).hours - rest == pytest.approx(seconds / 3600)
        found = dict(bounds(task, named, CALM))["naming pictures, by the driver"]
        assert found == pytest.approx(seconds / 3600)
    assert calm * 3600 == pytest.approx(55)


def test_lost_nodes_cost_time_and_no_parts() -> None:
    unlucky = replace(CALM, node_losses_per_hour=60.0, node_return_s=30.0)

    outcome = simulate(TASK, COSTS, unlucky)

    calm = simulate(TASK, COSTS, CALM)
    assert outcome.repeated > 0
    assert outcome.parts == calm.parts == 200
    assert outcome.hours > calm.hours


def test_a_lost_node_works_again_after_its_return() -> None:
    alone = replace(CALM, nodes=1)
    unlucky = replace(alone, node_losses_per_hour=60.0, node_return_s=1.0)

    # Alone it takes 275 s, in which it is lost some five times, for a second and a part each.
    assert simulate(TASK, COSTS, unlucky).hours < 2 * simulate(TASK, COSTS, alone).hours


def test_names_are_listed_before_anything_is_scored() -> None:
    single = replace(TASK, layout=SINGLE)

    assert simulate(single, COSTS, CALM).listing_hours * 3600 == pytest.approx(40)
    assert simulate(TASK, COSTS, CALM).listing_hours * 3600 == pytest.approx(0.004)


def test_the_narrowest_resource_sets_the_pace_of_a_picture() -> None:
    assert picture_seconds(SINGLE, COSTS, CALM) == pytest.approx(0.0055)

    narrow = replace(CALM, network_bytes_s=4e5)  # 100 kB/s a core: ten pictures a second
    assert picture_seconds(SINGLE, COSTS, narrow) == pytest.approx(0.1)

    reluctant = replace(CALM, store_requests_s=100)
    assert picture_seconds(SINGLE, COSTS, reluctant) == pytest.approx(0.2)
    assert picture_seconds(PARQUET, COSTS, reluctant) == pytest.approx(0.0055)

    far = replace(CALM, store_latency_s=1.6)
    assert picture_seconds(SINGLE, COSTS, far) == pytest.approx(0.1)  # 16 requests at once


def test_what_is_paid_for() -> None:
    cloud = replace(CALM, node_price_hour=2.0, price_per_million_gets=0.4)
    task = Task(pictures=10_000_000, part=1_000, layout=SINGLE)

    paid = price(task, cloud, hours=3.0)

    assert paid["nodes"] == pytest.approx(30.0)
    assert paid["reading requests"] == pytest.approx(4.0)
    assert paid["writing requests"] == pytest.approx(10_000 / 1e6 * 5)
