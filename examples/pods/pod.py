"""One of several pods that share a topic: each consumes a part of it, and pushes what it has consumed to those who are connected to it.

That is how many services behind Kafka are built: one consumer group, so that each message is handled once, and no way from one pod to the
clients of another. A stream of Redis with a consumer group stands for the topic. Nothing here knows of Heartwire.

Environment: POD, the name of this pod; REDIS_PORT.
"""

import asyncio
import contextlib
import json
import os

import redis.asyncio as redis
from fastapi import FastAPI
from fastapi.responses import StreamingResponse

POD = os.environ["POD"]
TOPIC, GROUP = "orders", "dashboard"

clients: set[asyncio.Queue] = set()
consumed = 0


async def consume():
    global consumed
    store = redis.Redis(port=int(os.environ["REDIS_PORT"]), decode_responses=True)
    with contextlib.suppress(redis.ResponseError):  # The other pod was first.
        await store.xgroup_create(TOPIC, GROUP, id="$", mkstream=True)
    number = 0
    while True:
        for _, messages in await store.xreadgroup(GROUP, POD, {TOPIC: ">"}, count=20, block=1000):
            for message, fields in messages:
                consumed += 1
                number += 1
                # The id counts this pod's messages only: ids of two pods are the same again and again.
                event = f"id: {number}\nevent: order\ndata: {json.dumps({'order': int(fields['order']), 'pod': POD})}\n\n"
                for client in clients:
                    client.put_nowait(event)
            await store.xack(TOPIC, GROUP, *(message for message, _ in messages))


@contextlib.asynccontextmanager
async def lifespan(_):
    task = asyncio.create_task(consume())
    yield
    task.cancel()


app = FastAPI(lifespan=lifespan)


@app.get("/events")
async def events():
    # From here on, and not only once the response is on its way, nothing is missed.
    mine = asyncio.Queue()
    clients.add(mine)

    async def stream():
        try:
            yield f": {POD}\n\n"
            while True:
                yield await mine.get()
        finally:
            clients.discard(mine)

    return StreamingResponse(stream(), media_type="text/event-stream")


@app.get("/state")
async def state():
    return {"pod": POD, "clients": len(clients), "consumed": consumed}
