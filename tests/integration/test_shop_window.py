"""What `import ferryman` shows, and what it does not load until it is asked for."""

import json
import subprocess
import sys

import pytest

import ferryman


def modules_after(program):
    """The names in sys.modules of a fresh process that ran `program`."""
    show = "import json, sys; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", f"{program}\n{show}"], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def test_everything_it_names_is_there():
    for name in ferryman.__all__:
        assert getattr(ferryman, name) is not None
    assert set(ferryman.__all__) <= set(dir(ferryman))


def test_a_name_that_it_does_not_have_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'ship'"):
        _ = ferryman.ship


def test_importing_it_loads_nothing_else():
    loaded = modules_after("import ferryman")
    assert [name for name in loaded if name.startswith("ferryman.")] == ["ferryman.version"]


EVERYTHING = "import ferryman\nfor name in ferryman.__all__: getattr(ferryman, name)"


def test_no_floor_is_a_second_truth_at_the_top_level():
    loaded = modules_after(EVERYTHING)
    assert not {"actors", "protocol", "supervisors"} & {name.partition(".")[0] for name in loaded}


RELAY = """
import ferryman
ferryman.open_relay, ferryman.RelayConfig, ferryman.make_real_ports
import ferryman.supervisors.cli.main
import ferryman.supervisors.cli.relay
"""


@pytest.mark.req("S4-101")
def test_a_relay_never_loads_what_seals_or_what_a_device_is_made_of():
    loaded = modules_after(RELAY)
    devices = ("ferryman.protocol.crypto.sealing", "ferryman.protocol.crypto.keys", "ferryman.protocol.sync.", "argon2")
    assert "ferryman.supervisors.relay" in loaded
    assert [name for name in loaded if name.startswith(devices)] == []
    assert "ferryman.supervisors.runtime" not in loaded


def test_errors_can_be_imported_by_name():
    from ferryman.errors import AppError, Pending

    assert issubclass(Pending, AppError)
    assert ferryman.errors.Pending is Pending
