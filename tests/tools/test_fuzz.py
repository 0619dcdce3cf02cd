"""The fuzzer's own tests: what it says when it cannot begin. The decoders that it searches have tests of their own."""

import sys

from tests.tools import fuzz


def test_without_its_library_it_says_what_to_install_and_does_nothing(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "atheris", None)
    monkeypatch.setattr(sys, "argv", ["fuzz", "frame-of-client"])
    assert fuzz.main() == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == "fuzz: atheris is missing: .venv/bin/pip install --group fuzz\n"
