"""Runs in a process with 8 virtual CPU devices: nearest neighbours on meshes of them, and on one.

python retrieval_program.py FOLDER      reads FOLDER/given.npz, writes FOLDER/found.npz
"""

from __future__ import annotations

import os
import pathlib
import sys

os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=8"

import jax
import numpy as np

from xtreme_stilts.config import MeshConfig
from xtreme_stilts.evaluation.mining import margin_links
from xtreme_stilts.evaluation.retrieval import nearest
from xtreme_stilts.training.sharding import make_mesh


def main(folder: pathlib.Path) -> None:
    given = np.load(folder / "given.npz")
    meshes = {
        "one": None,
        "8,1,1": make_mesh(MeshConfig()),
        "2,2,2": make_mesh(MeshConfig(data=2, fsdp=2, tensor=2)),
    }
    assert jax.device_count() == 8
    found = {}
    for name in sorted({key.split("/")[0] for key in given.files}):
        for mesh_name, mesh in meshes.items():
            near = nearest(
                given[f"{name}/queries"], given[f"{name}/database"], k=4, mesh=mesh, query_block=128, block=256
            )
            found |= {f"{name}/{mesh_name}/index": near.index, f"{name}/{mesh_name}/score": near.score}
    for mesh_name, mesh in meshes.items():
        links = margin_links(given["normal/queries"], given["normal/database"], mesh=mesh)
        found[f"links/{mesh_name}"] = np.stack([links.source, links.target, links.score])
    np.savez(folder / "found.npz", **found)


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
