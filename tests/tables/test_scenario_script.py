"""Every wrong script is one line: the file, the key, what is wanted there, and what was meant perhaps; exit code 2."""

import json

import pytest

from ferryman.supervisors.cli.main import run

HEAD = 'format = "ferryman.scenario/1"\nname = "a script"\n'
STEP = '[[step]]\ndo = "enable"\n'
PUSH = '[[given]]\ndo = "enable"\n[[step]]\ndo = "push"\n'

WRONG = {
    # keys, at every level
    "a key": ('polices = ["drop"]\n' + STEP, "there is no key 'polices': did you mean 'policies'?"),
    "a key like none": ("frob = 3\n" + STEP, "there is no key 'frob': there are about, crash, expect, format, "),
    "a key of crash": (STEP + "[crash]\nevery_oi = true", "there is no key 'crash.every_oi': did you mean 'every_io'?"),
    "a key of weather": (
        STEP + "[weather]\nnetwork = [1, 2]",
        "there is no key 'weather.network': did you mean 'network_ms'?",
    ),
    "a key of expect": (
        STEP + "[expect]\ninvariant = []",
        "there is no key 'expect.invariant': did you mean 'invariants'?",
    ),
    "a key of a step": (
        STEP + '[[step]]\ndo = "push"\ncoutn = 3',
        "step 2 (push): there is no key 'coutn': did you mean 'count'?",
    ),
    "a key of a given step": (
        '[[given]]\ndo = "push"\nsiez = 3\n' + STEP,
        "given 1 (push): there is no key 'siez': did you mean 'size'?",
    ),
    # names
    "a step": ('[[step]]\ndo = "pusk"', "step 1: there is no step 'pusk': did you mean 'push'?"),
    "a policy": ('policies = ["drop", "dorp"]\n' + STEP, "policies: there is no 'dorp': did you mean 'drop'?"),
    "an error": (STEP + '[crash]\nerrors = ["EOI"]', "crash.errors: there is no 'EOI': did you mean 'EIO'?"),
    "an invariant": (
        STEP + '[expect]\ninvariants = ["convergse"]',
        "expect.invariants: there is no invariant 'convergse': did you mean 'converges'?",
    ),
    "a program": (
        'machines = { a = "devise" }\n' + STEP,
        "machines.a: there is no program 'devise': did you mean 'device'?",
    ),
    "a machine of a step": (
        'machines = { phone = "device" }\n[[step]]\ndo = "push"\ndevice = "phnoe"',
        "step 1 (push): there is no machine 'phnoe': did you mean 'phone'?",
    ),
    "a machine that another step needs": (
        'machines = { relay = "relay", b = "device" }\n[[step]]\ndo = "join"\ndevice = "b"\nfrom = "c"',
        "step 1 (join): there is no machine 'c': there are b, relay",
    ),
    "a machine of a point": (
        STEP + '[crash]\npoints = ["realy:buffer.commit"]',
        "crash: there is no machine 'realy': did you mean 'relay'?",
    ),
    "a machine that runs something else": (
        '[[step]]\ndo = "push"\ndevice = "relay"',
        "step 1 (push): wants a machine that runs 'device', and 'relay' runs 'relay'",
    ),
    "the name of a machine": (
        'machines = { "a/b" = "device" }\n' + STEP,
        "machines: 'a/b' is no name for a machine: letters, digits, dots, _ and -",
    ),
    "the format": (
        STEP + 'about = ""',
        "step 1 (enable): there is no key 'about': there are device",
    ),
    # nothing to do
    "no steps": ("", "step: is missing"),
    "zero steps": ("step = []", "step: wants 1 or more, or nothing would be tried"),
    "zero seeds": ("seeds = []\n" + STEP, "seeds: wants 1 or more, or nothing would be tried"),
    "a range that is empty": (
        'seeds = "3..1"\n' + STEP,
        "seeds: wants a number, a list of them, or a range like \"0..3\", not '3..1'",
    ),
    "zero policies": ("policies = []\n" + STEP, "policies: wants 1 or more, or nothing would be tried"),
    "zero invariants": (
        STEP + "[expect]\ninvariants = []",
        "expect.invariants: wants 1 or more, or nothing would be tried",
    ),
    "too many seeds": ('seeds = "0..9999999"\n' + STEP, "seeds: wants 1,000,000 seeds or fewer"),
    # types
    "a negative seed": ("seeds = -1\n" + STEP, "seeds: wants greater than or equal to 0"),
    "a seed that is text": ('seeds = [1, "a"]\n' + STEP, "seeds: wants a whole number, not 'a'"),
    "a count that is text": (
        '[[step]]\ndo = "push"\ncount = "3"',
        "step 1 (push): count: wants a whole number, not '3'",
    ),
    "a count of none": ('[[step]]\ndo = "push"\ncount = 0', "step 1 (push): count: wants greater than or equal to 1"),
    "a flag that is text": (STEP + '[crash]\nevery_io = "no"', "crash.every_io: wants true or false, not 'no'"),
    "a list that is text": (STEP + '[crash]\npoints = "*"', "crash.points: wants a list, not '*'"),
    "a table that is text": ('crash = "relay"\n' + STEP, "crash: wants a table, not 'relay'"),
    "one table of steps": ('[step]\ndo = "push"', "step: wants tables, each under its own line [[step]]"),
    "a step that is text": ('step = ["push"]', "step 1: wants tables, each under its own line [[step]]"),
    "a step without a name": ('[[step]]\ndevice = "a"', 'step 1: wants a key `do`, as in do = "enqueue"'),
    "weather upside down": (
        STEP + "[weather]\ndisk_ms = [5, 1]",
        "weather.disk_ms: wants the least and the most, from 0 to 60,000, not [5.0, 1.0]",
    ),
    # not a script
    "no TOML": ("= 3", "not a TOML file: Invalid statement (at line 3, column 1)"),
    # found by running it
    "a point that is never reached": (
        PUSH + '[crash]\npoints = ["bufer.commit"]',
        "crash.points: 'bufer.commit' is never reached: did you mean 'buffer.commit'?",
    ),
    "a given step that fails": (
        '[[given]]\ndo = "push"\n' + STEP,
        "given: push of a: NotEnabled: sync is not enabled on this device: call enable() or join_invite() first",
    ),
    "a story without a record": (
        'machines = { a = "relay" }\n[[step]]\ndo = "wait"',
        "the steps make no durable actor record anything: such a scenario proves nothing; let a step send or ask",
    ),
}


def complaint(capsys, *arguments):
    """What `ferryman sim run` says on standard error, when it refuses."""
    assert run(["sim", "run", "-j", "1", *arguments]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1
    return said.err.removeprefix("ferryman: ").rstrip("\n")


@pytest.fixture
def script(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "script.toml"
    path.write_text(HEAD + PUSH)
    return path


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_script_is_told_of_with_file_and_key(wrong, script, capsys):
    text, words = WRONG[wrong]
    script.write_text(HEAD + text)
    said = complaint(capsys, str(script))
    assert said.startswith(f"{script}: {words}")
    assert list(script.parent.iterdir()) == [script]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (
            'format = "ferryman.scenario/2"',
            "format: there is no 'ferryman.scenario/2': did you mean 'ferryman.scenario/1'?",
        ),
        ("", "format: is missing"),
    ],
)
def test_another_format_is_not_read(line, words, script, capsys):
    script.write_text(f'{line}\nname = "x"\n{STEP}')
    assert complaint(capsys, str(script)) == f"{script}: {words}"


def test_what_is_no_file_is_told_of(tmp_path, capsys):
    binary = tmp_path / "binary.toml"
    binary.write_bytes(b"\xff\xfe")
    assert complaint(capsys, str(tmp_path / "none.toml")) == f"{tmp_path}/none.toml: No such file or directory"
    assert complaint(capsys, str(tmp_path)) == f"{tmp_path}: Is a directory"
    assert complaint(capsys, str(binary)).startswith(f"{binary}: not a TOML file: ")
    assert complaint(capsys).startswith("ferryman sim run: wants a script: ")


@pytest.mark.parametrize(
    ("uses", "source", "words"),
    [
        ('["beside.py"]', "x = 1\n1 / 0", "beside.py:2: ZeroDivisionError: division by zero"),
        ('["beside.py"]', "def (", "beside.py:1: SyntaxError: invalid syntax"),
        ('["beside.py"]', "import sys\nsys.exit(3)", "beside.py:2: SystemExit: 3"),
        ('["beside.py"]', "raise ValueError('two\\nlines')", "beside.py:1: ValueError: two lines"),
        (
            '["beside.py"]',
            "from ferryman.simulation import step, Step\n@step('push')\nclass Mine(Step): pass",
            "beside.py: there is a step 'push' already: give yours another name",
        ),
        ('["besides.py"]', "", "besides.py"),
        ('"beside.py"', "", "wants a list, not 'beside.py'"),
        ("[3]", "", "wants names of Python files, as seen from the script, not 3"),
    ],
)
def test_a_file_beside_the_script_that_cannot_be_used_is_told_of(uses, source, words, script, capsys):
    (script.parent / "beside.py").write_text(source)
    script.write_text(f"{HEAD}uses = {uses}\n{PUSH}")
    said = complaint(capsys, str(script))
    assert said.startswith(f"{script}: uses: ")
    assert words in said


@pytest.mark.parametrize(
    ("case", "words"),
    [
        ("nonsense", "wants POINT/POLICY/SEED, as in relay:buffer.commit#1/drop/0"),
        ("-/-/x", "wants POINT/POLICY/SEED, as in relay:buffer.commit#1/drop/0"),
        ("nowhere/drop/0", "'nowhere' is no point; as in relay:buffer.commit#1 or a:io#31"),
        ("relay:buffer.commit#1/dorp/0", "there is no policy 'dorp': did you mean 'drop'?"),
        ("relay:buffer.commit#0/drop/0", "'relay:buffer.commit#0': points and operations are counted from 1"),
        ("realy:buffer.commit#1/drop/0", "has no machine 'realy': there are relay, a"),
        ("relay:bufer.commit#1/drop/0", "relay never passes 'bufer.commit': did you mean 'buffer.commit'?"),
        ("relay:buffer.commit#99/drop/0", "relay passes buffer.commit 1 times, and not 99"),
        ("a:io#9999/drop/0", "the disk of a does not come to operation 9,999"),
    ],
)
def test_a_case_that_names_no_run_is_told_of(case, words, script, capsys):
    said = complaint(capsys, str(script), "--case", case)
    assert said.startswith("--case ")
    assert said.endswith(words)
    assert list(script.parent.iterdir()) == [script]


@pytest.mark.parametrize("steps", ["0", "2", "1,x", "", "1,,1", "-1"])
def test_steps_that_the_script_has_not_are_told_of(steps, script, capsys):
    assert complaint(capsys, str(script), f"--steps={steps}") == (
        f"--steps {steps!r}: wants numbers of the 1 steps of {script}, as in 1,1"
    )


def test_a_folder_that_cannot_be_written_is_told_of(script, capsys):
    assert run(["sim", "run", str(script), "--case", "-/-/0", "--out", str(script)]) == 2
    assert capsys.readouterr().err == f"ferryman: --out {script}: {script}: File exists\n"


def test_with_json_every_line_is_an_object(script, capsys):
    assert run(["sim", "run", "-j", "1", "--json", str(script)]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == {
        "type": "cell",
        "script": str(script),
        "crash_at": "no crash",
        "policy": "-",
        "runs": 1,
        "failures": 0,
    }
    assert [line["type"] for line in lines] == ["cell", "summary"]
    assert (lines[-1]["ok"], lines[-1]["runs"], lines[-1]["scenario"]) == (True, 1, "a script")
    assert run(["sim", "run", "--json", str(script), "--case", "-/-/0", "--out", "kept"]) == 0
    *rows, verdict = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {row["type"] for row in rows} == {"row"}
    assert {row["kind"] for row in rows} == {"life", "actor", "point", "step", "saw"}
    assert (verdict["type"], verdict["ok"], verdict["case"]) == ("case", True, "-/-/0")
    assert len(verdict["files"]) == 2
    page, trace = verdict["files"]
    kept = [json.loads(line) for line in (script.parent / trace).read_text().splitlines()]
    assert len(kept) == len(rows) + 1
    assert kept[0]["hash"] == verdict["hash"]
    assert (script.parent / page).read_text().startswith("<!doctype html>")


def test_nothing_is_written_when_nothing_failed(script, capsys):
    assert run(["sim", "run", "-j", "1", str(script)]) == 0
    assert "all ok" in capsys.readouterr().out
    assert list(script.parent.iterdir()) == [script]


def test_a_wrong_script_keeps_no_other_from_being_told(script, tmp_path, capsys):
    wrong = tmp_path / "wrong.toml"
    wrong.write_text(script.read_text() + '[crash]\npoints = ["ledger.comit"]\n')
    assert run(["sim", "run", "-j", "1", str(wrong), str(script)]) == 2
    said = capsys.readouterr()
    assert "all ok" in said.out
    assert said.err.startswith(f"ferryman: {wrong}: crash.points: 'ledger.comit' is never reached")
