"""Pages: what is shown at each path, for the caller that the PopProxy verified."""

import functools
import hashlib
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.templating import Jinja2Templates

from headrace.contract import console
from headrace.contract.caller import Caller
from headrace.contract.endpoint_state import EndpointState
from headrace.contract.errors import TemporaryError
from headrace.observability.console import load_history, session
from headrace.observability.console.example_request import example_request
from headrace.observability.console.load_history import History
from headrace.observability.console.platform_health import ProgramHealth
from headrace.observability.console.pop_requests import TriedAnswer
from headrace.observability.console.rate_limit import RateLimit
from headrace.observability.console.table_rows import Row
from headrace.observability.console.visible_endpoints import EndpointDetail, HeldEndpoint
from headrace.observability.console.waterfall import waterfall

TEMPLATES: Final = Path(__file__).with_name("templates")
STATIC: Final = Path(__file__).with_name("static")
ENDPOINTS: Final = 100
"""Of a list, in one page; it is renewed every few seconds."""
ROWS: Final = 20
"""Of a table, in one page."""
TRACE_ID: Final = re.compile("[0-9a-f]{32}")


class Endpoints(Protocol):
    """See `visible_endpoints.VisibleEndpoints`."""

    def listed(self, caller: Caller, containing: str = "") -> list[HeldEndpoint]: ...

    def state(self, endpoint: HeldEndpoint) -> EndpointState: ...

    def detail(self, name: str, caller: Caller) -> EndpointDetail | None: ...


class Pop(Protocol):
    """See `pop_requests.PopRequests`."""

    def signature(self, endpoint: str, token: str) -> Any: ...

    def score(self, endpoint: str, body: bytes, token: str, *, version: str = "") -> TriedAnswer: ...


@dataclass(frozen=True, kw_only=True)
class Sources:
    """What pages are made of. Functions raise TemporaryError where their source gives no answer."""

    endpoints: Endpoints
    pop: Pop
    programs: Callable[[], list[ProgramHealth]]
    history: Callable[[str, float], History] | None
    """Of an endpoint; None where nobody remembers load."""
    rows: Callable[..., list[Row]] | None
    """Of an endpoint and its `requester`, at `most` so many; None where no tables are written."""
    spans: Callable[..., list[Row]] | None = None
    """Of an endpoint, a trace and its `requester`; None where no spans are kept."""
    url: Callable[[], str] = lambda: ""
    """The platform's address for clients."""


class Refusal(Exception):
    """A page that says why there is no other."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status, self.sentence = status, sentence


class Pages:
    """A handler for each path."""

    def __init__(
        self,
        sources: Sources,
        *,
        now: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._sources, self._now = sources, now
        # What a page asks besides by itself, every few seconds, is far below; a script is told to wait.
        self._limit = RateLimit(per_second=5, burst=50, clock=clock)
        environment = Environment(
            loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
            lstrip_blocks=True, auto_reload=False,
        )  # fmt: skip
        environment.globals.update(root=console.ROOT, static=static_address)
        self._templates = Jinja2Templates(env=environment)

    def login(self, request: Request) -> Response:
        """The form that takes a token; it says so where one is refused."""
        return self._page(request, "login.html", refused=bool(session.token(request)))

    async def log_in(self, request: Request) -> Response:
        """Gives the browser the token as a cookie. Whether it is good, the PopProxy says at the next page."""
        self._require_own_form(request)
        given = (await session.form(request)).get("token", "").strip().removeprefix("Bearer ").strip()
        if not given or any(not ("!" <= letter <= "~") or letter in '";,\\' for letter in given):
            raise Refusal(400, "That is no token: give the text that `kubectl create token` prints.")
        response = RedirectResponse(f"{console.ROOT}/", 303)
        session.remember(response, given)
        return response

    async def log_out(self, request: Request) -> Response:
        """Takes the cookie away."""
        self._require_own_form(request)
        response = RedirectResponse(console.LOGIN_PATH, 303)
        session.forget(response)
        return response

    def endpoints(self, request: Request) -> Response:
        """Those that the caller may call; only the table of them for the script that keeps it fresh."""
        caller = self._caller(request)
        containing, first = request.query_params.get("q", "")[:63], request.query_params.get("from", "0")
        all_of_them = self._sources.endpoints.listed(caller, containing)
        at = min(int(first), len(all_of_them)) if first.isdecimal() and len(first) < 10 else 0
        found = [(each, self._sources.endpoints.state(each)) for each in all_of_them[at : at + ENDPOINTS]]
        name = "endpoints_table.html" if request.headers.get("hx-request") else "endpoints.html"
        return self._page(
            request, name, found=found, containing=containing, at=at, step=ENDPOINTS, count=len(all_of_them)
        )

    def endpoint(self, request: Request) -> Response:
        """One endpoint; what takes time is asked for by the page itself."""
        detail = self._detail(request)
        return self._page(
            request, "endpoint.html", detail=detail, has_history=self._sources.history is not None,
            has_rows=self._sources.rows is not None and detail.held.spec.inference_table is not None,
            address=self._sources.url(),
        )  # fmt: skip

    def history(self, request: Request) -> Response:
        """What is plotted, as JSON."""
        detail = self._detail(request)
        document = self._history(detail).document(
            [{key: each.get(key) for key in ("time", "version", "replicas", "concurrency", "reasons")}
             for each in detail.decisions]
        )  # fmt: skip
        return JSONResponse(document)

    def rows(self, request: Request) -> Response:
        """The caller's own last rows."""
        detail, caller = self._detail(request), self._caller(request)
        if self._sources.rows is None or detail.held.spec.inference_table is None:
            raise Refusal(404, "Requests to this endpoint are not recorded.")
        found = self._sources.rows(detail.held.name, requester=caller.subject, most=ROWS)
        times = sorted(row["execution_duration_ms"] for row in found if row["execution_duration_ms"] is not None)
        middle = times[len(times) // 2] if times else None
        return self._page(
            request, "rows.html", found=found, middle=middle, longest=times[-1] if times else None,
            detail=detail, has_traces=self._sources.spans is not None,
        )  # fmt: skip

    def trace(self, request: Request) -> Response:
        """The spans of one of the caller's own requests, as a waterfall."""
        detail, caller = self._detail(request), self._caller(request)
        trace_id = request.path_params["trace_id"]
        if self._sources.spans is None or not TRACE_ID.fullmatch(trace_id):
            raise Refusal(404, "No such trace is kept.")
        found = self._sources.spans(detail.held.name, trace_id, requester=caller.subject)
        return self._page(request, "trace.html", found=waterfall(found))

    def try_form(self, request: Request) -> Response:
        """A form with a request that the model takes, made from its signature."""
        detail = self._detail(request)
        try:
            body = example_request(self._sources.pop.signature(detail.held.name, session.token(request)))
            note = ""
        except TemporaryError as error:
            body, note = "", f"There is no example: {error}."
        return self._page(request, "try_form.html", detail=detail, body=body, note=note)

    async def try_out(self, request: Request) -> Response:
        """The answer to a request of the caller's own, through the PopProxy."""
        self._require_own_form(request)
        fields = await session.form(request)
        return await run_in_threadpool(self._try_out, request, fields)

    def _try_out(self, request: Request, fields: dict[str, str]) -> Response:
        detail = self._detail(request)
        version = fields.get("version", "")
        if version and version not in {each.name for each in detail.held.spec.versions}:
            raise Refusal(400, f"version = {version!r}, must be one of the endpoint's or empty.")
        body = fields.get("body", "").encode()
        answer = self._sources.pop.score(detail.held.name, body, session.token(request), version=version)
        return self._page(request, "answer.html", answer=answer, detail=detail)

    def compare(self, request: Request) -> Response:
        """Two versions side by side."""
        detail = self._detail(request)
        known = [each.name for each in detail.held.spec.versions]
        rollout = detail.status.get("rollout") or {}
        known += [name for name in (rollout.get("former"),) if name and name not in known]
        asked = [request.query_params.get(key, "") for key in ("a", "b")]
        chosen = [name if name in known else known[min(at, len(known) - 1)] for at, name in enumerate(asked)]
        try:
            history = self._history(detail)
        except Refusal:
            history = History(times=[], lines={})
        proofs = {proof["version"]: proof for proof in detail.status.get("proofs") or ()}
        states = {each.name: each for each in detail.state.versions}
        return self._page(
            request, "compare.html", detail=detail, known=known, chosen=chosen, history=history, proofs=proofs,
            states=states, plots=load_history.PLOTS, rollout=rollout,
        )  # fmt: skip

    def platform(self, request: Request) -> Response:
        """The platform's own programs."""
        self._caller(request)
        return self._page(request, "platform.html", programs=self._sources.programs())

    async def refused(self, request: Request, error: Exception) -> Response:
        """The page of a Refusal, or of a source that gives no answer."""
        status, sentence = (error.status, error.sentence) if isinstance(error, Refusal) else (503, f"{error}.")
        return self._page(request, "refusal.html", status=status, sentence=sentence)

    def _history(self, detail: EndpointDetail) -> History:
        if self._sources.history is None:
            raise Refusal(404, "Nobody remembers load on this platform: it has no Prometheus.")
        return self._sources.history(detail.held.name, self._now())

    def _detail(self, request: Request) -> EndpointDetail:
        name = request.path_params["name"]
        found = self._sources.endpoints.detail(name, self._caller(request))
        if found is None:
            raise Refusal(404, f"No endpoint {name!r} that you may call exists.")
        return found

    def _caller(self, request: Request) -> Caller:
        """Who asks, and is counted."""
        caller = session.caller(request)
        if not caller.subject:
            raise Refusal(401, "Log in.")
        if not self._limit.admits(caller.subject):
            raise Refusal(429, "You ask too often; wait a few seconds.")
        return caller

    def _require_own_form(self, request: Request) -> None:
        if not session.is_own_form(request):
            raise Refusal(403, "Another site sent this form; open the console itself.")

    def _page(self, request: Request, name: str, *, status: int = 200, **context: Any) -> Response:
        layout = "part.html" if request.headers.get("hx-request") else "base.html"
        described = {"subject": session.caller(request).subject, "status": status, "layout": layout, **context}
        return self._templates.TemplateResponse(request, name, described, status_code=status)


@functools.cache
def static_address(name: str) -> str:
    """Of a file that browsers may keep for good: another content has another address."""
    digest = hashlib.sha256((STATIC / name).read_bytes()).hexdigest()
    return f"{console.STATIC_PATH}/{name}?v={digest[:12]}"


def routed(pages: Pages) -> list[tuple[str, str, Any]]:
    """Method, path and handler of every page."""
    one = console.endpoint_path("{name}")
    return [
        ("GET", console.LOGIN_PATH, pages.login),
        ("POST", console.LOGIN_PATH, pages.log_in),
        ("POST", console.LOGOUT_PATH, pages.log_out),
        ("GET", f"{console.ROOT}/", pages.endpoints),
        ("GET", f"{console.ROOT}/platform", pages.platform),
        ("GET", one, pages.endpoint),
        ("GET", console.history_path("{name}"), pages.history),
        ("GET", f"{one}/rows", pages.rows),
        ("GET", f"{one}/traces/{{trace_id}}", pages.trace),
        ("GET", f"{one}/try", pages.try_form),
        ("POST", f"{one}/try", pages.try_out),
        ("GET", f"{one}/compare", pages.compare),
    ]
