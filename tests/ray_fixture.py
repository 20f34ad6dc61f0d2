"""A Ray cluster of several nodes on this machine. Only one file of tests uses it, so that one process starts it."""

from __future__ import annotations

import gc
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

_NODE = {"num_cpus": 1, "object_store_memory": 80 * 2**20}  # Ray takes no less


@dataclass
class Nodes:
    """A cluster whose nodes, but for the first, come and go."""

    cluster: Any
    others: list[Any] = field(default_factory=list)

    def add_one(self) -> None:
        self.others.append(self.cluster.add_node(**_NODE))

    def lose_one(self) -> None:
        """As if its plug were pulled."""
        self.cluster.remove_node(self.others.pop(), allow_graceful=False)


@contextmanager
def ray_cluster(n: int) -> Iterator[Nodes]:
    """A cluster of n nodes, to which this process is connected by RAY_ADDRESS."""
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings(action="ignore"):
        patch.setenv("RAY_AUTH_MODE", "disabled")  # or the first local cluster writes a token into the home
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        import ray
        from ray.cluster_utils import Cluster

        cluster = Cluster(initialize_head=True, head_node_args={**_NODE, "include_dashboard": False})
        try:
            nodes = Nodes(cluster)
            for _ in range(n - 1):
                nodes.add_one()
            patch.setenv("RAY_ADDRESS", cluster.address)
            yield nodes
        finally:
            ray.shutdown()
            cluster.shutdown()
            del nodes, cluster
            gc.collect()  # what Ray leaves open is told now, where nobody listens
