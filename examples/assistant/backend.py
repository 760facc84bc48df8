"""A chat backend as there are many: it streams its answer token by token, in chunks like OpenAI's, without ids, and keeps nothing.

Each request is a new answer, in other words than the one before, and costs its tokens again. So a browser that comes back in the middle
of an answer gets the beginning of another one. Nothing here knows of Heartwire.

The "model" says some of the sentences below in a random order. `/answers` tells what it has said, and is there for checks.

Environment: TOKENS_PER_SECOND (default 20).
"""

import asyncio
import json
import os
import pathlib
import random
import re

from fastapi import FastAPI
from fastapi.responses import FileResponse, StreamingResponse

TOKENS_PER_SECOND = float(os.environ.get("TOKENS_PER_SECOND", "20"))
SENTENCES = """
A tunnel, a lift or a change from Wi-Fi to mobile data breaks the connection, and nobody is to blame.
The browser notices, waits for some seconds – three in Chromium – and asks again.
What it asks for is the same address, and so an old server begins again from the start.
Tokens that were on their way are gone: for the reader they were never written, for the bill they were.
Wer zurückkommt, möchte den Rest hören, nicht noch einmal den Anfang.
A model does not say the same thing twice; the second answer does not fit the first one's beginning.
回来的读者只想要剩下的部分。
Somebody between the two has to listen on while the reader is away 🙂, and remember.
An id is a place in one answer: it opens nothing for anybody else.
Short words are cheap, and expressions of an uncommonpolysyllabic kind take several tokens each.
After the last token there is one more event, [DONE], and then the response ends.
A reader who comes back after that still gets the rest, for as long as it is kept.
""".strip().splitlines()

app = FastAPI()
answers = []


async def model(question: str):
    """Tokens: pieces of words, most with the blank before them."""
    text = f"“{question}”\n\n" + "\n".join(random.sample(SENTENCES, 8))
    for token in re.findall(r"\s?\w{1,5}|\s|[^\w\s]", text):
        yield token
        await asyncio.sleep(random.uniform(0.2, 1.8) / TOKENS_PER_SECOND)


@app.get("/answer")
async def answer(question: str = "What happens when a connection breaks?"):
    said = {"question": question, "text": "", "tokens": 0, "is_whole": False}
    answers.append(said)

    async def stream():
        async for token in model(question):
            said["text"] += token
            said["tokens"] += 1
            chunk = {"object": "chat.completion.chunk", "model": "parrot-1", "choices": [{"index": 0, "delta": {"content": token}}]}
            yield f"data: {json.dumps(chunk, ensure_ascii=False)}\n\n"
        said["is_whole"] = True
        yield "data: [DONE]\n\n"

    return StreamingResponse(stream(), media_type="text/event-stream")


@app.get("/answers")
async def all_answers():
    return answers


@app.get("/")
async def page():
    return FileResponse(pathlib.Path(__file__).parent / "page.html")
