"""Search for bytes that a decoder does not survive, guided by the code that they reach.

    python -m tests.tools.fuzz DECODER [--seconds 600] [--corpus FOLDER]
    python -m tests.tools.fuzz --list

Needs `pip install --group fuzz` (atheris, which is libFuzzer for Python; Linux). A corpus that is kept makes the next
search begin where this one ended; without --corpus it is in a temporary folder. Whatever is found is written beside it
as crash-HASH; `python -m tests.tools.fuzz DECODER crash-HASH` runs that input alone.

Exit code 0: nothing was found. 77: something was, with its traceback and its bytes. 2: it could not begin.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

MAX_BYTES = 16_384
MEMORY_MIB = 2048
INPUT_SECONDS = 10  # an input that takes longer is a find


def main() -> int:
    asked = arguments()
    try:
        import atheris
    except ImportError:
        print("fuzz: atheris is missing: .venv/bin/pip install --group fuzz", file=sys.stderr)
        return 2
    with atheris.instrument_imports(include=["ferryman", "h11", "websockets", "tomllib"]):
        from tests.tools.decoders import DECODERS
    if asked.list or asked.decoder not in DECODERS:
        print("decoders:", *DECODERS)
        return 0 if asked.list else 2
    decoder = DECODERS[asked.decoder]
    folder = asked.corpus or Path(tempfile.mkdtemp(prefix=f"fuzz-{decoder.name}-"))
    folder.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(decoder.seeds()):
        (folder / f"seed-{number}").write_bytes(seed)
    options = [
        f"-max_total_time={asked.seconds}",
        f"-max_len={MAX_BYTES}",
        f"-rss_limit_mb={MEMORY_MIB}",
        f"-timeout={INPUT_SECONDS}",
        f"-artifact_prefix={folder.parent}/{decoder.name}-",
        "-print_final_stats=1",
        "-verbosity=1",
    ]
    atheris.Setup([sys.argv[0], *options, str(asked.input or folder)], decoder.try_on)
    atheris.Fuzz()  # ends the process
    return 0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.tools.fuzz", description="fuzz one decoder")
    parser.add_argument("decoder", nargs="?", default="")
    parser.add_argument("input", nargs="?", type=Path, help="one input to run instead of a search")
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--corpus", type=Path, help="a folder that keeps what was reached")
    parser.add_argument("--list", action="store_true", help="the names of the decoders")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
