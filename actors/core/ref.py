"""A reference: what one actor, or the host, holds to talk to another. Valid across restarts.

| call                | waits for      | full                           | ended                     |
|---------------------|----------------|--------------------------------|---------------------------|
| `tell(msg)`         | nothing        | dead letter, False (see spec)  | dead letter, False        |
| `await send(msg)`   | room           | waits                          | dead letter, False        |
| `await post(msg)`   | room           | waits; gives a Pending answer  | the Pending: ActorStopped |
| `await ask(msg)`    | room, answer   | waits                          | ActorStopped              |

Messages of one sender arrive in the order in which they were put. Between actors use `send`, or `tell` what may be
lost; `send` only downstream: two bounded actors that send to each other can wait for each other for ever.
"""

from __future__ import annotations

from typing import Any, Generic, TypeVar, cast

import trio

from ferryman.actors.core.address import Address
from ferryman.actors.core.errors import AskTimeout, MailboxFull
from ferryman.actors.core.messages import Ask, Envelope

M_contra = TypeVar("M_contra", contravariant=True)
R = TypeVar("R")


class Pending(Generic[R]):
    """An answer that will come. One task waits for it; to stop waiting does not stop the work asked for."""

    __slots__ = ("address", "answered", "error", "task", "value")

    def __init__(self, address: Address) -> None:
        self.address = address
        self.answered = False
        self.value: Any = None
        self.error: BaseException | None = None
        self.task: trio.lowlevel.Task | None = None

    def resolve(self, value: object) -> None:
        self.answered = True
        self.value = value
        self._wake()

    def reject(self, error: BaseException) -> None:
        self.answered = True
        self.error = error
        self._wake()

    async def wait(self, timeout: float | None = None) -> R:
        """The answer. Raises AskTimeout, AskCycle, ActorCrashed, ActorStopped, or what the actor answered with `fail`.

        timeout: seconds, None for no limit.
        """
        if timeout is not None:
            with trio.move_on_after(timeout):
                return await self.wait()
            raise AskTimeout(self.address.path, timeout)
        if self.answered:
            await trio.lowlevel.checkpoint_if_cancelled()
            return self.take()
        address = self.address
        waiter = address.house.bodies.get(trio.lowlevel.current_task())
        if waiter is None:
            return await self.answer()
        waiter.forbid_cycle(address)
        waiter.waits_for = address
        try:
            return await self.answer()
        finally:
            waiter.waits_for = None

    async def answer(self) -> R:
        """Sleep until the answer is there, without looking for cycles."""
        if not self.answered:
            self.task = trio.lowlevel.current_task()
            await trio.lowlevel.wait_task_rescheduled(self._abort)
        return self.take()

    def take(self) -> R:
        if self.error is not None:
            raise self.error
        return cast("R", self.value)

    def _wake(self) -> None:
        task, self.task = self.task, None
        if task is not None:
            trio.lowlevel.reschedule(task)

    def _abort(self, _: object) -> trio.lowlevel.Abort:
        self.task = None
        return trio.lowlevel.Abort.SUCCEEDED


class Ref(Generic[M_contra]):
    """The address of one actor, for messages of type M. Compares equal to every reference to the same path."""

    __slots__ = ("_address",)

    def __init__(self, address: Address) -> None:
        self._address = address

    @property
    def path(self) -> str:
        return self._address.path

    @property
    def address(self) -> Address:
        """Whoever has the path now: a dynamic actor that ended may have come back under the same name."""
        address = self._address
        if address.mailbox.closed:
            successor = address.house.successor(address.path)
            if successor is not None:
                self._address = address = successor
        return address

    def tell(self, msg: M_contra) -> bool:
        """Hand the message over without waiting. False: it is a dead letter; nobody will read it.

        Raises MailboxFull only for an actor declared `overflow="fail"`.
        """
        mailbox = self._address.mailbox
        if mailbox.closed:
            mailbox = self.address.mailbox
        if mailbox.offer(Envelope(msg)):
            return True
        if mailbox.overflow == "fail" and not mailbox.closed:
            raise MailboxFull(self.path, mailbox.capacity)
        return False

    async def send(self, msg: M_contra) -> bool:
        """Hand the message over, waiting for room. False: the actor has ended, and the message is a dead letter."""
        mailbox = self._address.mailbox
        if mailbox.closed:
            mailbox = self.address.mailbox
        return await mailbox.put(Envelope(msg))

    async def post(self, msg: Ask[R]) -> Pending[R]:
        """Put a question, waiting for room, and get its answer later from the Pending."""
        address = self.address
        pending: Pending[R] = Pending(address)
        await address.mailbox.put(Envelope(msg, pending))
        return pending

    async def ask(self, msg: Ask[R], timeout: float | None = None) -> R:
        """Put a question and wait for its answer. Raises as `Pending.wait` does.

        timeout: seconds for both waits together, None for no limit.
        """
        if timeout is not None:
            with trio.move_on_after(timeout):
                return await self.ask(msg)
            raise AskTimeout(self.path, timeout)
        address = self.address
        pending: Pending[R] = Pending(address)
        envelope = Envelope(msg, pending)
        waiter = address.house.bodies.get(trio.lowlevel.current_task())
        if waiter is None:
            await address.mailbox.put(envelope)
            return await pending.answer()
        waiter.forbid_cycle(address)
        waiter.waits_for = address
        try:
            await address.mailbox.put(envelope)
            return await pending.answer()
        finally:
            waiter.waits_for = None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Ref) and cast("Ref[Any]", other).path == self.path

    def __hash__(self) -> int:
        return hash(self.path)

    def __repr__(self) -> str:
        return f"Ref({self.path!r})"
