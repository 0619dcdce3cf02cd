"""Every actor is made of these: mailbox, cell, reference, context.

    host ──ref──> mailbox ──> body(ctx)            an incarnation: crashes, and the next one goes on
                  └────── cell ──────┘             address and mailbox: outlive every incarnation

| module          | what it is                                                             |
|-----------------|------------------------------------------------------------------------|
| messages.py     | Ask, Envelope, Down: what is said                                      |
| mailbox.py      | a bounded queue; who waits, who is dropped                             |
| address.py      | path and mailbox, who waits for whom, who watches                      |
| ref.py          | tell, send, post, ask                                                  |
| context.py      | what a body is given                                                   |
| cell.py         | one incarnation after the other; the one place where a crash is caught |
| errors.py       | how it can fail, and who is told                                       |
| events.py       | what the host can see                                                  |
| crash_points.py | where a test may end the world                                         |
| determinism.py  | Trio's scheduler, made to follow from a seed                           |

What holds, and may be built upon:

- Messages of one sender arrive in order. A restart loses the message in hand and no other; it is not given out again.
- A question that was taken and not answered ends in ActorCrashed (outcome unknown), one that was never taken in
  ActorStopped. Nobody waits for an answer that cannot come, nor for one that would have to come from himself.
- There are never two incarnations of one cell at once, and none ends but by itself or by its supervisor.
- What is no Exception passes through every actor and leaves the tree.
- A crash is one report. A message that nobody reads is a dead letter: counted, and the last hundred kept.

Trees of these are in `ferryman.supervisors`: spec.py says what runs, strategy.py decides, supervisor.py obeys.
"""
