"""Makes the man pages: manual.py PROGRAM FOLDER. heartwire(1) is made of what the program's --help says, the others of the manuals.

The pages have the day of SOURCE_DATE_EPOCH.
"""

import datetime
import os
import pathlib
import re
import subprocess
import sys

CONF = pathlib.Path(__file__).resolve().parent.parent


def literal(text):
    """Text as roff prints it."""
    return text.replace("\\", "\\e").replace("-", "\\-")


def escaped(text):
    """A line as roff prints it: at a line's start, a dot and an apostrophe are roff's own."""
    return ("\\&" if text[:1] in (".", "'") else "") + literal(text)


def inline(text):
    """A paragraph's marks: code and strong words are bold, others of weight are in italics, links lose their addresses."""
    text = re.sub(r"!?\[((?:[^\[\]]|\[[^\]]*\])*)\]\([^)\s]*\)", r"\1", text)
    done = ""
    for part in re.split(r"(`[^`]+`|\*\*[^*]+\*\*|(?<![\w*])\*\w[^*]*\*)", text):
        mark = "**" if part.startswith("**") else part[:1] if part[:1] in ("`", "*") and part[1:].endswith(part[:1]) else ""
        words = literal(part.removeprefix(mark).removesuffix(mark).replace("\\|", "|").replace("`", "" if mark else "`"))
        done += f"\\f{'I' if mark == '*' else 'B'}{words}\\fR" if mark else words
    return ("\\&" if done[:1] in (".", "'") else "") + done


def cells(line):
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip().strip("|"))]


def table(lines):
    """Each row as a term and its description; columns between them with their names."""
    names = cells(lines[0])
    for line in lines[2:]:
        row = cells(line)
        yield ".TP\n" + inline(row[0])
        between = [f"{name}: {cell}." for name, cell in zip(names[1:-1], row[1:-1]) if cell]
        yield inline(" ".join([*between, row[-1]]).strip()) or "\\&"


def converted(text):
    """A page of Markdown as the body of a man page, without its title and the list of its sections."""
    text = re.sub(r"^# .*\n", "", text, count=1)
    text = re.sub(r"(?m)^- \[.*\]\(#.*\n", "", text)
    lines = text.split("\n")
    place, is_behind_heading = 0, True
    while place < len(lines):
        line = lines[place]
        place += 1
        if not line.strip():
            continue
        paragraph = [] if is_behind_heading else [".PP"]
        is_behind_heading = False
        if line.startswith("```"):
            yield "\n".join([*paragraph, ".in +4n", ".EX"])
            while not lines[place].startswith("```"):
                yield escaped(lines[place])
                place += 1
            place += 1
            yield ".EE\n.in"
        elif heading := re.match(r"(#+) (.*)", line):
            kind = ".SH" if len(heading[1]) == 2 else ".SS"
            yield f'{kind} "{inline(heading[2].upper() if kind == ".SH" else heading[2]).replace(chr(34), "")}"'
            is_behind_heading = True
        elif line.startswith("|"):
            rows = [line]
            while place < len(lines) and lines[place].startswith("|"):
                rows.append(lines[place])
                place += 1
            yield from table(rows)
        else:
            item = re.match(r"( *)(-|\d+\.) +(.*)", line)
            words = [item[3] if item else line.strip()]
            while place < len(lines) and lines[place].strip() and not re.match(r" *(- |\d+\. |\||#+ |```)", lines[place]):
                words.append(lines[place].strip())
                place += 1
            if item:
                yield f".IP {literal(item[2]) if item[2] != '-' else chr(92) + '(bu'} 3"
            elif paragraph:
                yield ".PP"
            yield inline(" ".join(words))


def page(name, section, purpose, body, see):
    day = datetime.datetime.fromtimestamp(int(os.environ["SOURCE_DATE_EPOCH"]), datetime.timezone.utc).date()
    title = f'.TH {name.upper()} {section} {day} Heartwire'
    return "\n".join([title, ".SH NAME", f"{name} \\- {purpose}", *body, ".SH SEE ALSO", see, ""])


def of_help(program):
    """What --help says of the program and of each of its commands, as it is printed."""
    def said(*words):
        return subprocess.run([program, *words, "--help"], capture_output=True, text=True, check=True).stdout.rstrip("\n")

    overview = said()
    commands = re.findall(r"^  ([a-z]+)(?: |$)", overview.split("Commands:")[1].split("Options:")[0], re.M)
    for title, text in [("DESCRIPTION", overview), *((f"heartwire {name}", said(name)) for name in commands)]:
        yield f'.SH "{title.upper()}"\n.EX'
        yield from map(escaped, text.split("\n"))
        yield ".EE"


def main(program, folder):
    manual = CONF.joinpath("README.md").read_text()
    logs = CONF.joinpath("logs.md").read_text()
    others = "/usr/share/doc/heartwire holds these manuals, and those of the console, the metrics, diagnose, probe and the hops."
    pages = {
        "heartwire.1": page(
            "heartwire", 1, "reverse proxy that keeps Server-Sent Events alive", of_help(program),
            f"\\fBheartwire.conf\\fR(5), \\fBheartwire\\-logs\\fR(5)\n.PP\n{others}"),
        "heartwire.conf.5": page(
            "heartwire.conf", 5, "configuration of heartwire", [".SH DESCRIPTION", *converted(manual)],
            f"\\fBheartwire\\fR(1), \\fBheartwire\\-logs\\fR(5)\n.PP\n{others}"),
        "heartwire-logs.5": page(
            "heartwire\\-logs", 5, "logs of heartwire", [".SH DESCRIPTION", *converted(logs)],
            f"\\fBheartwire\\fR(1), \\fBheartwire.conf\\fR(5)\n.PP\n{others}"),
    }
    for name, text in pages.items():
        pathlib.Path(folder, name).write_text(text)


if __name__ == "__main__":
    main(*sys.argv[1:])
