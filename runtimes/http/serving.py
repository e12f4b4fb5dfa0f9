"""From settings to a running pod: listeners and pipes in the parent, a server in the serving process."""

import asyncio
import logging
import os

import uvloop

from headrace.runtimes.http.front import Front
from headrace.runtimes.http.listener import open_listener
from headrace.runtimes.http.parent import FATAL, Heartbeat, Parent
from headrace.runtimes.http.server import Server
from headrace.runtimes.pod import log_outlet, model_output, processes
from headrace.runtimes.pod.settings import Settings

log = logging.getLogger("headrace.front")


def run(settings: Settings, *, began: float | None = None) -> int:
    """Serves until SIGTERM; the pod's exit status. `began`: when the pod's process started, in monotonic seconds."""
    try:
        listeners = [open_listener(settings.host, settings.port)]
        if settings.admin_port != 0:
            listeners.append(open_listener(settings.host, settings.admin_port or 0))
    except OSError as error:
        asked = f"ports {settings.port} and {settings.admin_port}" if settings.admin_port else f"port {settings.port}"
        log.error("cannot listen at %s, %s: %s", settings.host, asked, error)
        return FATAL
    named = [f"http://{settings.host}:{listening.getsockname()[1]}" for listening in listeners]
    log.info("listening at %s", ", with the admin interface at ".join(named))
    # Made here: what workers print survives the serving process.
    pipes = model_output.pipes(settings.worker_count + 1)

    def serve(heartbeat: Heartbeat) -> int:
        outlet = log_outlet.of_pod(os.environ)  # with a thread, so not before this process was made
        outlet.start()

        def end(reason: str) -> None:
            """Ends the pod."""
            del reason  # logged and written to the termination log where it arose
            outlet.stop()
            os._exit(FATAL)

        async def serving() -> None:
            front = Front(settings, pipes=pipes, on_fatal=end, began=began, outlet=outlet)
            await Server(front, listeners).run(heartbeat)

        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(serving())
        finally:
            outlet.stop()
        return 0

    processes.withhold()  # from the model, which runs as the same user
    return Parent(serve, listeners).run()
