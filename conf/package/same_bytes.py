"""Makes the bytes of a program independent of the folder of its build: same_bytes.py PROGRAM.

The compiler's hashes of its modules, which nothing reads, become zeros, and the build id becomes the hash of all the rest. Sections are
overwritten and not removed, because strip and objcopy would leave out a segment that protects the program (RELRO) with them.
"""

import hashlib
import pathlib
import re
import subprocess
import sys


def main(path):
    program = pathlib.Path(path)
    data = bytearray(program.read_bytes())

    def place(name) -> slice:
        listed = subprocess.run(["readelf", "--sections", "--wide", path], capture_output=True, text=True, check=True).stdout
        offset, size = re.search(rf" {re.escape(name)} +\w+ +[0-9a-f]+ ([0-9a-f]+) ([0-9a-f]+) ", listed).groups()
        return slice(int(offset, 16), int(offset, 16) + int(size, 16))

    hashes, note = place(".swift_modhash"), place(".note.gnu.build-id")
    # A note's three lengths and kinds of four bytes and its name, "GNU\0", stand in front of the id.
    build_id = slice(note.start + 16, note.stop)
    for each in (hashes, build_id):
        data[each] = bytes(each.stop - each.start)
    digest = hashlib.sha256(data).digest()
    data[build_id] = digest[:build_id.stop - build_id.start]
    program.write_bytes(data)


if __name__ == "__main__":
    main(*sys.argv[1:])
