"""What a server does with a request, whichever way it came in: in time, counted, forgotten if its client leaves."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import time
from collections.abc import AsyncIterator, Callable, Mapping

from starlette.requests import Request

from bstsearch.answering.bundle_folder import BundleFolder
from bstsearch.errors import InputError
from bstsearch.reading import shown
from bstsearch.serving.asked import AskReader, check_deadline
from bstsearch.serving.body import Bodies
from bstsearch.serving.costs import Quantile
from bstsearch.serving.door import Door
from bstsearch.serving.engine import Answered, BusyError, Engine, Inputs, LateError
from bstsearch.serving.limits import BrokenError, ClientLeftError, Limits, RefusedError
from bstsearch.serving.metrics import FAILED, GIVEN_UP, IN_TIME, INVALID, LATE, LEFT, REFUSED, Metrics
from bstsearch.serving.scheduling import Job
from bstsearch.serving.sessions import Sessions
from bstsearch.serving.tensors import Signature

REPLY_S = 0.001  # what is kept for the reply, before any was seen

Clock = Callable[[], float]


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Work:
    """A request in the hands of the engine, whose outcome goes to the event loop."""

    read: Callable[[], Inputs]
    future: asyncio.Future[Answered]
    loop: asyncio.AbstractEventLoop

    def finish(self, result: Answered | Exception) -> None:
        """Hands over the outcome; a loop that is closed has no use for it."""
        with contextlib.suppress(RuntimeError):
            self.loop.call_soon_threadsafe(self._set, result)

    def _set(self, result: Answered | Exception) -> None:
        if self.future.done():
            return
        if isinstance(result, Exception):
            self.future.set_exception(result)
        else:
            self.future.set_result(result)


@dataclasses.dataclass(kw_only=True)
class Ticket:
    """One request: when it came, when its answer is due, and the seconds of each stage that is over."""

    arrived: float
    due: float = 0.0
    stages: dict[str, float] = dataclasses.field(default_factory=dict)
    job: Job | None = None  # once it is in the queue
    computed: float = 0.0  # when its model was done


@dataclasses.dataclass(kw_only=True)
class Service:
    """A bundle that is being served."""

    bundle: BundleFolder
    sessions: Sessions
    engine: Engine
    inputs: list[Signature]
    outputs: list[Signature]
    ask_reader: AskReader | None
    limits: Limits
    metrics: Metrics
    clock: Clock = time.perf_counter
    is_ready: bool = True

    def __post_init__(self) -> None:
        self.bodies = Bodies(self.limits)
        self.door = Door(self.clock)
        self._reply = Quantile(REPLY_S, share=0.99)

    @contextlib.asynccontextmanager
    async def request(self, request: Request) -> AsyncIterator[tuple[Ticket, bytes]]:
        """A request with its body; what is wrong with it leaves the block as RefusedError, and is counted."""
        ticket = Ticket(arrived=self.clock())
        try:
            if not await self.door.enter():
                raise RefusedError(503, "more requests come than can be read; send it again later", retry_s=1)
            async with self.bodies.read(request) as body:
                ticket.stages["receive"] = self.clock() - ticket.arrived
                yield ticket, body
        except ClientLeftError:
            self.metrics.count(LEFT)
            raise
        except BusyError as error:
            self.metrics.count(GIVEN_UP if isinstance(error, LateError) else REFUSED)
            line = "no submodel can answer before the deadline; try again later, or allow more time"
            raise RefusedError(503, line, retry_s=error.after) from error
        except InputError as error:
            self.metrics.count(INVALID)
            raise RefusedError(400, str(error)) from error
        except BrokenError as error:
            self.metrics.count(FAILED)
            raise RefusedError(500, str(error)) from error
        except RefusedError as error:
            self.metrics.count(REFUSED if error.status == 503 else INVALID)
            raise
        except Exception:
            self.metrics.count(FAILED)
            raise
        finally:
            self.tell_held()

    def check_known(self, submodel: str, status: int) -> None:
        """Passes where the bundle holds a submodel of that id; RefusedError of that status lists those that it does."""
        known = self.bundle.by_accuracy
        if submodel not in known:
            raise RefusedError(status, f"there is no submodel {shown(submodel)}; choose one of {', '.join(known)}")

    async def answer(
        self,
        request: Request,
        ticket: Ticket,
        read: Callable[[], Inputs],
        *,
        deadline_ms: float | None,
        submodel: str | None,
        extra: float = 0.0,
    ) -> Answered:
        """What a submodel gives to the inputs that `read` returns, which takes it `extra` seconds more than usual.

        BusyError where that would be too late, ClientLeftError where nobody waits for it, RefusedError where there is
        no such submodel, else whatever `read` raises.
        """
        if submodel is not None:
            self.check_known(submodel, 400)
        check_deadline(deadline_ms, self.limits)
        ticket.due = ticket.arrived + (deadline_ms or self.limits.deadline_ms) / 1000
        loop = asyncio.get_running_loop()
        work = _Work(read=read, future=loop.create_future(), loop=loop)
        unseen = self.door.lag + self._reply.value
        ticket.job = job = Job(deadline=ticket.due - unseen, due=ticket.due, submodel=submodel, extra=extra, work=work)
        self.engine.submit(job)
        answered = await self._outcome(request, job, work.future)
        ticket.computed = answered.ended
        queue = answered.began - ticket.arrived - ticket.stages["receive"]
        ticket.stages |= {"queue": queue, **answered.stages}
        self.metrics.answered(answered.submodel, self.engine.expected(answered.submodel))
        return answered

    def tell_held(self) -> None:
        """Has the metrics say what waits and what is in memory."""
        self.metrics.holds(waiting=self.engine.waiting, resident_bytes=sum(self.sessions.resident.values()))

    def sent(self, ticket: Ticket) -> None:
        """The answer is on its way."""
        now = self.clock()
        ticket.stages["reply"] = now - ticket.computed
        self._reply.see(ticket.stages["reply"])
        is_in_time = now <= ticket.due
        if ticket.job is not None:
            self.engine.judge(ticket.job, is_in_time=is_in_time)
        self.metrics.count(IN_TIME if is_in_time else LATE)
        self.metrics.took(ticket.stages)

    async def _outcome(self, request: Request, job: Job, future: asyncio.Future[Answered]) -> Answered:
        """The outcome of the job, or ClientLeftError as soon as the client leaves."""
        gone = asyncio.ensure_future(_disconnected(request))
        gone.add_done_callback(lambda _: self._forget(job, future))
        try:
            return await future
        finally:
            gone.cancel()

    def _forget(self, job: Job, future: asyncio.Future[Answered]) -> None:
        """Nobody waits for the job any more, unless it has its outcome."""
        if not future.done():
            self.engine.withdraw(job)
            future.set_exception(ClientLeftError())


def milliseconds(stages: Mapping[str, float]) -> dict[str, float]:
    """The stages as a reply tells them."""
    return {stage: round(1000 * seconds, 3) for stage, seconds in stages.items()}


async def _disconnected(request: Request) -> None:
    """Returns once the client has left."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
