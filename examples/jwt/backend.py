"""An old event-stream backend that wants `Authorization: Bearer`, and that never looks at the token's signature or end.

It greets whom X-User names: only Heartwire can have written that field. Beside the stream it serves the page, and `/login`, which stands
for your identity provider: it gives a token to everybody.

The example `tickets` runs it too, with a page of its own.

Environment: PAGE, the file of the page (default page.html); PRIVATE_KEY, the file of the key that signs; SECONDS, how long its tokens are
good (default 20).
"""

import asyncio
import os
import pathlib

from fastapi import Depends, FastAPI, Header, HTTPException
from fastapi.responses import FileResponse
from sse_starlette.sse import EventSourceResponse

from mint import mint

PAGE = pathlib.Path(os.environ.get("PAGE") or pathlib.Path(__file__).parent / "page.html")
KEY = pathlib.Path(os.environ["PRIVATE_KEY"]).read_text()
SECONDS = int(os.environ.get("SECONDS", "20"))

app = FastAPI()


def authenticated(authorization: str = Header(default="")):
    if not authorization.startswith("Bearer "):
        raise HTTPException(401, "a bearer token is wanted", {"WWW-Authenticate": "Bearer"})


async def ticks(user: str, first: int):
    number = first
    while True:
        yield {"id": str(number), "data": f"tick {number} for {user}"}
        number += 1
        await asyncio.sleep(1)


@app.get("/events", dependencies=[Depends(authenticated)])
async def events(x_user: str = Header(default="nobody"), last_event_id: str = Header(default="")):
    first = int(last_event_id) + 1 if last_event_id.isdigit() else 1
    return EventSourceResponse(ticks(x_user, first), ping=86400)


@app.post("/login")
async def login() -> dict:
    return {"token": mint(KEY, seconds=SECONDS), "seconds": SECONDS}


@app.get("/")
async def page():
    return FileResponse(PAGE)
