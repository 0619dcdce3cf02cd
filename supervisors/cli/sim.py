"""`ferryman sim`: scripted crashes of the real actors.

| command                          | what it does                                                              |
|----------------------------------|---------------------------------------------------------------------------|
| ferryman sim run SCRIPT...       | crashes a scenario everywhere it asks for, and prints the matrix          |
| ferryman sim explore --seeds A..B | random stories, a world each: several crashes, all machines               |
| ferryman sim self-test           | plants bugs in the product, and shows which policy and invariant see them |
| ferryman sim list-points         | the crash points, and what a crash leaves behind there                    |

Exit codes: 0 all is well, 1 an invariant is violated, 2 the script is wrong.
"""

from __future__ import annotations

from cyclopts import App

from ferryman.actors.core.crash_points import POINTS
from ferryman.supervisors.cli.sim_explore import explore
from ferryman.supervisors.cli.sim_run import run
from ferryman.supervisors.cli.sim_self_test import self_test

app = App(name="sim", help="Scripted crashes of the real actors: what survives, and a line that replays what does not.")
app.command(run)
app.command(explore)
app.command(self_test)


@app.command(name="list-points")
def list_points() -> int:
    """The crash points, and what a crash just before each leaves behind."""
    width = max(map(len, POINTS))
    for name, leaves in POINTS.items():
        print(f"{name:<{width}}  {leaves}")
    print(f"{'io':<{width}}  (every_io) before and after every write, sync, truncation and change of a name")
    return 0
