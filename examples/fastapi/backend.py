"""A typical old event-stream backend: it wants `Authorization: Bearer`, and it is silent for long times.

Nothing here knows of Heartwire, and nothing may be changed for its sake. sse-starlette would send pings of
its own every 15 s; they are switched off, as many servers send none.

Environment: SILENCE, the seconds between two events (default 20); TOKEN, the bearer token it wants (default letmein).
"""

import asyncio
import os

from fastapi import Depends, FastAPI, Header, HTTPException
from sse_starlette.sse import EventSourceResponse

SILENCE = float(os.environ.get("SILENCE", "20"))
TOKEN = os.environ.get("TOKEN", "letmein")

app = FastAPI()


def authenticated(authorization: str = Header(default="")):
    if authorization != f"Bearer {TOKEN}":
        raise HTTPException(401, "a bearer token is wanted", {"WWW-Authenticate": "Bearer"})


async def ticks(first: int):
    number = first
    while True:
        yield {"id": str(number), "event": "tick", "data": f"tick number {number}"}
        number += 1
        await asyncio.sleep(SILENCE)


@app.get("/events", dependencies=[Depends(authenticated)])
async def events(last_event_id: str = Header(default="")):
    first = int(last_event_id) + 1 if last_event_id.isdigit() else 1
    return EventSourceResponse(ticks(first), ping=86400)
