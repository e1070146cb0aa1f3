"""Refusals as RFC 9457 problem documents: one shape for every error of the API.

``code`` is what the interface translates; ``detail`` is for engineers and never repeats
what was sent, a path, a statement or a stack.

Source: RFC 9457.
"""

from collections.abc import Mapping

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

PROBLEM = "application/problem+json"
CODES = {404: "not_found", 405: "method_not_allowed", 400: "request.invalid"}


class Problem(Exception):  # noqa: N818 - RFC 9457 calls it a problem
    """Raised to refuse a request; ``code`` is what the interface translates."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *faults: str,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status, self.code, self.detail, self.faults = status, code, detail, faults
        self.headers = dict(headers or {})

    def answer(self) -> JSONResponse:
        """The document; ``faults`` holds every fault of the request, not the first."""
        body = {
            "type": f"urn:almenara:{self.code}",
            "status": self.status,
            "code": self.code,
            "detail": self.detail,
            "faults": list(self.faults),
        }
        return JSONResponse(body, self.status, media_type=PROBLEM, headers=self.headers)


def not_found() -> Problem:
    """One answer for what is not there and for what somebody may not know of."""
    return Problem(404, "not_found", "no such thing")


def install(app: FastAPI) -> None:
    """Make ``app`` answer every refusal with a problem document, and say so."""
    app.router.responses["4XX"] = {"description": "Refused", "content": {PROBLEM: {}}}

    @app.exception_handler(Problem)
    async def refuse(_: Request, problem: Problem) -> JSONResponse:
        return problem.answer()

    @app.exception_handler(Exception)
    async def admit(_: Request, __: Exception) -> JSONResponse:
        # Raised again behind this answer; the boundary logs it.
        return Problem(500, "internal", "a fault of ours; see the request id").answer()

    @app.exception_handler(RequestValidationError)
    async def refuse_all(_: Request, error: RequestValidationError) -> JSONResponse:
        faults = [
            f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}"
            for fault in error.errors()
        ]
        return Problem(422, "request.invalid", "see faults", *faults).answer()

    @app.exception_handler(HTTPException)
    async def refuse_plainly(_: Request, error: HTTPException) -> JSONResponse:
        if error.status_code == 404:
            return not_found().answer()
        code = CODES.get(error.status_code, "request.refused")
        return Problem(error.status_code, code, code, headers=error.headers).answer()
