"""The harness of the end-to-end tests: scripted peers, the proxy's process, independent parsers.

Nothing here knows how Heartwire is built. It reads sockets, files and exit codes, as a user could.
"""
