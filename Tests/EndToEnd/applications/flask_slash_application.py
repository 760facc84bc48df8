"""Flask with a stream at `/events/`, to which it redirects `/events`; says whose stream it is. Argument: the port."""

import sys

from flask import Flask, Response, request

application = Flask(__name__)


@application.get("/events/")
def events():
    said = f"data: {request.headers.get('Authorization')} {request.query_string.decode()}\n\n"
    return Response(said, mimetype="text/event-stream")


application.run(host="127.0.0.1", port=int(sys.argv[1]))
