"""FastAPI with a stream at `/events/`, to which it redirects `/events`; says whose stream it is. Argument: the port."""

import asyncio
import sys

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, StreamingResponse

application = FastAPI()


@application.get("/", response_class=HTMLResponse)
def page() -> str:
    return "<!doctype html><title>page</title>"


@application.get("/events/")
async def events(request: Request):
    async def stream():
        yield f"data: {request.headers.get('authorization')} {request.url.query}\n\n"
        await asyncio.sleep(20)
    return StreamingResponse(stream(), media_type="text/event-stream")


uvicorn.run(application, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
