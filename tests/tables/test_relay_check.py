"""`ferryman relay --check`: what a start would not get over is found without one."""

import pytest

from ferryman.actors.real_ports import make_real_ports
from ferryman.protocol.errors import BadInput
from ferryman.supervisors.relay_check import check
from ferryman.supervisors.relay_config import check_relay_config


@pytest.mark.parametrize(("table", "key"), [("log", "file"), ("server", "status_socket")])
def test_a_file_in_a_folder_that_is_not_there_is_found_by_a_check(tmp_path, table, key):
    path = tmp_path / "none" / "file"
    document = {"storage": {"database": str(tmp_path / "made" / "relay.db")}}
    config = check_relay_config({**document, table: {key: str(path)}}, "relay.toml")
    with pytest.raises(BadInput) as refused:
        list(check(config, make_real_ports().disk))
    assert refused.value.message.startswith(f"{path}: cannot be made: {tmp_path / 'none'} is no directory")
    assert list(tmp_path.iterdir()) == []
