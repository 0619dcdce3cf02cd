"""What the documents have to say, they say."""

import json
import re
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from ferryman.supervisors.client import SyncClient
from ferryman.supervisors.config import RuntimeConfig, Table

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
DEPENDENCIES = [Requirement(line).name for line in PROJECT["project"]["dependencies"]]


@pytest.mark.req("S4-07", "S4-176")
@pytest.mark.parametrize(
    "what",
    [
        "no CRDT merging", "no file sync", "no user accounts", "no mobile background sync", "no data storage",
        "no push notifications", "no connection that is always on", "no guaranteed sync on exit",
    ],
)  # fmt: skip
def test_the_first_page_says_what_it_is_not(what):
    assert what in (DOCS / "index.md").read_text().replace("**", "")


@pytest.mark.req("S4-40")
@pytest.mark.parametrize(
    "assumption", ["Devices are sound", "Noise is sound", "Argon2id is adequate", "relay is honest but curious"]
)
def test_the_threats_page_names_the_four_assumptions(assumption):
    assert assumption in (DOCS / "threats.md").read_text()


@pytest.mark.req("S4-06")
@pytest.mark.parametrize("name", DEPENDENCIES)
def test_every_dependency_is_open_source(name):
    about = metadata.metadata(name)
    stated = [about.get("License-Expression") or "", about.get("License") or "", *about.get_all("Classifier", [])]
    free = re.compile(r"\b(MIT|BSD|Apache|MPL|ISC|PSF|OSI Approved|any-OSI)\b")
    assert free.search(" ".join(stated)), stated


@pytest.mark.req("S4-213")
def test_the_libraries_that_the_specification_names_are_the_ones_used():
    named = {"msgpack", "trio", "trio-websocket", "noiseprotocol", "argon2-cffi", "pynacl", "hypercorn", "pydantic"}
    assert named <= {name.lower() for name in DEPENDENCIES}


def test_every_dependency_has_its_line():
    page = (DOCS / "dependencies.md").read_text()
    groups = PROJECT["dependency-groups"]
    every = [*DEPENDENCIES, *(Requirement(line).name for group in groups.values() for line in group)]
    assert [name for name in every if f"| `{name}` |" not in page] == []
    listed = re.findall(r"^\| `([^`]+)` \|", page, re.MULTILINE)
    assert sorted(listed) == sorted(every), "a line for what is not used any more"


def configuration(table=RuntimeConfig, prefix=""):
    """Each key of a device's configuration with its default, as the handbook writes it."""
    told = {"sync.device_name": "the host's name", "keys.passphrase": "`FERRYMAN_PASSPHRASE`"}
    for name, field in table.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, Table):
            yield from configuration(field.annotation, f"{name}.")
        elif field.is_required():
            yield prefix + name, "required"
        elif field.default is None:
            yield prefix + name, "none"
        else:
            default = getattr(field.default, "kind", field.default)  # a table that its name alone stands for
            yield prefix + name, told.get(prefix + name) or f"`{json.dumps(default)}`"


def test_the_handbook_lists_every_key_of_a_devices_configuration_with_its_default():
    page = (DOCS / "embedding.md").read_text()
    rows = re.findall(r"^\| `((?:home|keys\.|sync\.|control\.)[a-z_]*)` \| ([^|]+) \|", page, re.MULTILINE)
    assert rows == list(configuration())


@pytest.mark.parametrize("name", [name for name in vars(SyncClient) if not name.startswith("_")])
def test_the_handbook_names_every_call_of_a_client(name):
    assert re.search(rf"\b{name}\b", (DOCS / "embedding.md").read_text())


def test_every_page_is_in_the_navigation():
    shown = (ROOT / "mkdocs.yml").read_text()
    assert [path.name for path in DOCS.glob("*.md") if f"{path.name}\n" not in shown] == []


def test_the_documents_speak_of_the_product_alone():
    """No diary, no promise, no place on somebody's machine."""
    pattern = re.compile(r"\b(TODO|FIXME|TBD|coming soon)\b|/(home/(?!me/)|root/|work/|Users/)", re.IGNORECASE)
    texts = [*DOCS.glob("*.md"), *ROOT.glob("*.md")]
    assert [(path.name, found[0]) for path in texts for found in pattern.finditer(path.read_text())] == []
