"""An old event-stream backend that wants `Authorization: Bearer`, beside the page that reads its stream.

`/events` continues behind the event that `Last-Event-ID` names. `/login` stands for your identity provider: it gives a token to everybody
(with `mint.py` of the example `jwt`).

Environment: PRIVATE_KEY, the file of the key that signs; SECONDS, how long its tokens are good (default 20).
"""

import asyncio
import os
import pathlib

from fastapi import Depends, FastAPI, Header, HTTPException
from fastapi.responses import FileResponse
from sse_starlette.sse import EventSourceResponse

from mint import mint

HERE = pathlib.Path(__file__).parent
KEY = pathlib.Path(os.environ["PRIVATE_KEY"]).read_text()
SECONDS = int(os.environ.get("SECONDS", "20"))

app = FastAPI()


def authenticated(authorization: str = Header(default="")):
    if not authorization.startswith("Bearer "):
        raise HTTPException(401, "a bearer token is wanted", {"WWW-Authenticate": "Bearer"})


async def ticks(user: str, number: int):
    while True:
        yield {"id": str(number), "data": f"tick {number} for {user}"}
        number += 1
        await asyncio.sleep(1)


@app.get("/events", dependencies=[Depends(authenticated)])
async def events(x_user: str = Header(default="nobody"), last_event_id: str = Header(default="0")):
    return EventSourceResponse(ticks(x_user, int(last_event_id) + 1), ping=86400)


@app.post("/login")
async def login() -> dict:
    return {"token": mint(KEY, seconds=SECONDS), "seconds": SECONDS}


@app.get("/")
async def page():
    return FileResponse(HERE / "page.html")
