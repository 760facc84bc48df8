"""Flask on Werkzeug with one protected path and one for all others; says which of them answered. Argument: the port."""

import sys

from flask import Flask
from werkzeug.serving import WSGIRequestHandler

application = Flask(__name__)


@application.get("/events", strict_slashes=False)
def events():
    return "protected"


@application.get("/")
@application.get("/<path:rest>")
def others(rest=""):
    return "open"


WSGIRequestHandler.protocol_version = "HTTP/1.1"
application.run("127.0.0.1", int(sys.argv[1]), threaded=True)
