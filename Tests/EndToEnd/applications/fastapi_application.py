"""FastAPI with one protected path and one for all others; says which of them answered. Argument: the port."""

import sys

import uvicorn
from fastapi import FastAPI
from fastapi.responses import PlainTextResponse

application = FastAPI()


@application.api_route("/events", methods=["GET", "OPTIONS"], response_class=PlainTextResponse)
def events() -> str:
    return "protected"


@application.get("/{rest:path}", response_class=PlainTextResponse)
def others(rest: str) -> str:
    return "open"


uvicorn.run(application, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
