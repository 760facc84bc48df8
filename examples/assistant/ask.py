#!/usr/bin/env python3
"""Asks as the page does, without a browser, and compares what arrived with what the model has said.

    ask.py URL BACKEND-PORT [--question TEXT] [--connections N] [--retry SECONDS] [--id-file FILE]

Ends with 0 when the model has said one answer and that is what arrived, and with 1 otherwise. The last event id goes to FILE.
"""

import argparse
import json
import pathlib
import sys
import urllib.parse
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from eventsource import EventSource  # noqa: E402: it stands in the folder above.


def said_by_the_model(port: int, question: str) -> list:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"http://127.0.0.1:{port}/answers", timeout=10) as response:
        return [answer for answer in json.load(response) if answer["question"] == question]


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("backend", type=int)
    parser.add_argument("--question", default="What happens when a connection breaks?")
    parser.add_argument("--connections", type=int, default=100)
    parser.add_argument("--retry", type=float, default=0.3)
    parser.add_argument("--id-file", type=pathlib.Path)
    options = parser.parse_args()

    source = EventSource(options.url + "?" + urllib.parse.urlencode({"question": options.question}), retry=options.retry)
    text, is_whole = "", False
    for event in source.events(options.connections):
        if event is None:
            print(" ✂ ", end="", flush=True)
        elif event.type == "stream_gap":
            print(f"\n(a gap: {event.data})")
            text = ""
        elif event.data == "[DONE]":
            is_whole = True
            break
        elif event.type == "message":
            token = json.loads(event.data)["choices"][0]["delta"]["content"]
            text += token
            print(token, end="", flush=True)
    if options.id_file:
        options.id_file.write_text(source.last_event_id)

    answers = said_by_the_model(options.backend, options.question)
    is_right = is_whole and len(answers) == 1 and text == answers[0]["text"]
    print(f"\n-- {source.connections} connections; {'the end came' if is_whole else 'no end came'}; the model has begun {len(answers)}"
          f" {'answer' if len(answers) == 1 else 'answers'} and said {sum(answer['tokens'] for answer in answers)} tokens;"
          f" what arrived is {'the same, each token once' if is_right else 'not what it has said'}")
    return 0 if is_right else 1


if __name__ == "__main__":
    sys.exit(main())
