"""What the pages say of the simulator is what there is, and the how-to's script runs as it stands."""

import re
from pathlib import Path

from ferryman.supervisors.cli.main import run
from tests.tools.simulation_page import PAGE, filled


def test_the_tables_are_those_of_the_registries():
    assert filled(PAGE.read_text()) == PAGE.read_text(), "python -m tests.tools.simulation_page"


def test_the_script_of_the_how_to_runs_as_it_stands(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    script = re.findall(r"```toml\n(.*?)```", PAGE.read_text(), re.DOTALL)[0]
    Path("push.toml").write_text(re.sub(r"every_io = true.*", "", script).replace('"*"', '"buffer.commit"'))
    assert run(["sim", "run", "-j", "1", "push.toml"]) == 0
    assert "all ok" in capsys.readouterr().out
    Path("push.toml").write_text(script.replace('do = "push"', 'do = "psuh"'))
    assert run(["sim", "run", "push.toml"]) == 2
    assert capsys.readouterr().err == "ferryman: push.toml: step 1: there is no step 'psuh': did you mean 'push'?\n"
