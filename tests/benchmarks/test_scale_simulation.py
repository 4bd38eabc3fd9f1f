"""The simulation of many machines against what can be worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from scale_simulation import Cloud, Costs, bounds, part_seconds, price, simulate

COSTS = Costs(
    picture_bytes=10_000,
    read_s=0.001,
    decode_s=0.002,
    compute_s=0.003,
    part_s=0.5,
    driver_s=0.001,
    part_pictures=1_000,
    row_bytes=50,
)
CALM = Cloud(nodes=5, cores=4, node_losses_per_hour=0, speed_spread=0)


def test_equal_parts_on_calm_cores_take_rounds_of_one_part() -> None:
    outcome = simulate(200_000, replace(COSTS, driver_s=0), CALM)

    # 200 parts on 20 cores: ten rounds of 1000 * 5 ms + 0.5 s.
    assert outcome.hours * 3600 == pytest.approx(10 * 5.5)
    assert outcome.utilisation == pytest.approx(1.0)
    assert outcome.repeated == 0


def test_a_slow_driver_is_what_all_wait_for() -> None:
    slow = replace(COSTS, driver_s=10.0)

    outcome = simulate(100_000, slow, CALM)

    assert outcome.hours * 3600 == pytest.approx(100 * 10 + 5.5)
    assert bounds(100_000, slow, CALM)[0][0].startswith("the driver")


def test_lost_nodes_cost_time_and_no_parts() -> None:
    unlucky = replace(CALM, node_losses_per_hour=60.0, node_return_s=30.0)

    outcome = simulate(200_000, COSTS, unlucky)

    calm = simulate(200_000, COSTS, CALM)
    assert outcome.repeated > 0
    assert outcome.parts == calm.parts == 200
    assert outcome.hours > calm.hours


def test_a_lost_node_works_again_after_its_return() -> None:
    alone = replace(CALM, nodes=1, node_losses_per_hour=60.0, node_return_s=1.0)

    assert (
        simulate(200_000, COSTS, alone, seed=3).hours < 2 * simulate(200_000, COSTS, CALM).hours * 5
    )


def test_the_narrowest_resource_sets_the_pace_of_a_part() -> None:
    assert part_seconds(COSTS, CALM) == pytest.approx(0.5 + 1_000 * 0.005)

    narrow = replace(CALM, network_bytes_s=4e5)  # 100 kB/s a core: ten pictures a second
    assert part_seconds(COSTS, narrow) == pytest.approx(0.5 + 1_000 * 0.1)

    reluctant = replace(CALM, store_requests_s=100)
    assert part_seconds(COSTS, reluctant) == pytest.approx(0.5 + 1_000 * 0.2)


def test_what_is_paid_for() -> None:
    cloud = replace(CALM, node_price_hour=2.0, price_per_million_gets=0.4)

    paid = price(10_000_000, COSTS, cloud, hours=3.0)

    assert paid["nodes"] == pytest.approx(30.0)
    assert paid["reading requests"] == pytest.approx(4.0)
    assert paid["writing requests"] == pytest.approx(10_000 / 1e6 * 5)
