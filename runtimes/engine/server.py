"""gunicorn around the application in front of an engine; everything but the application is the front's own."""

from headrace.contract.runtime import EnginePlan
from headrace.runtimes.engine.app import EngineFront
from headrace.runtimes.front.server import Server, end
from headrace.runtimes.front.settings import Settings


class EngineServer(Server):
    """gunicorn, configured in code."""

    def __init__(self, settings: Settings, plan: EnginePlan) -> None:
        self._plan = plan
        super().__init__(settings)

    def load(self) -> EngineFront:  # type: ignore[override] # gunicorn calls it, and wants an ASGI application
        """The ASGI application; called in the serving process."""
        return EngineFront(self._settings, self._plan, pipes=self._pipes, on_fatal=end)
