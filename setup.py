"""Builds the package: the top-level folders with their data files.

`pip install .` installs the library and the command `regional-means`. The same file is what
runners elsewhere install on their workers (`--setup_file ./setup.py`).
"""

from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
FOLDERS = (
    "connectors",
    "deploy",
    "geo",
    "pipelines",
    "schemas",
    "serving",
    "simulation",
    "sql",
    "transforms",
)


def requirements() -> list[str]:
    """What requirements.in names; the lock beside it pins the rest for a checkout."""
    lines = (HERE / "requirements.in").read_text("utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


setup(
    name="regional-means",
    version="0.1.0",
    description="Apache Beam transforms for regional means of sensor readings in France",
    long_description=(HERE / "README.md").read_text("utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    license_files=["LICENSE"],
    python_requires=">=3.11",
    install_requires=requirements(),
    packages=find_packages(
        include=[name for folder in FOLDERS for name in (folder, f"{folder}.*")]
    ),
    package_data={
        "deploy": ["*.json", "*/*.json", "dataflow/*.lock"],
        "geo": ["data/*"],
        "pipelines": ["data/*"],
        "schemas": ["*/*.json"],
        "sql": ["*.sql", "*/*.sql"],
    },
    entry_points={"console_scripts": ["regional-means = pipelines.regional_means:main"]},
)
