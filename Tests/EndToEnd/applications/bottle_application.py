"""Bottle on the standard library's WSGI server with one protected path and one for all others. Argument: the port."""

import sys

from bottle import Bottle

application = Bottle()


@application.get("/events")
def events():
    return "protected"


@application.get("/")
@application.get("/<rest:path>")
def others(rest=""):
    return "open"


application.run(host="127.0.0.1", port=int(sys.argv[1]), quiet=True)
