"""The man pages, made from the manuals and from --help: they are correct roff, and nothing of their sources is missing."""

import os
import re
import shutil
import subprocess
import sys

import pytest

from support.paths import REPOSITORY, binary

PAGES = {"heartwire.1": None, "heartwire.conf.5": "README.md", "heartwire-logs.5": "logs.md"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    if not shutil.which("mandoc"):
        pytest.skip("mandoc is not installed")
    folder = tmp_path_factory.mktemp("pages")
    subprocess.run(
        [sys.executable, REPOSITORY / "conf/package/manual.py", binary(), folder], check=True, env={**os.environ, "SOURCE_DATE_EPOCH": "0"})
    assert {path.name for path in folder.iterdir()} == set(PAGES)
    return folder


def text_of(page) -> str:
    """A page as a terminal shows it, with one blank between words, and without the marks for bold."""
    shown = subprocess.run(["mandoc", "-T", "utf8", "-O", "width=1000", page], capture_output=True, text=True, check=True).stdout
    return re.sub(r"\s+", " ", re.sub(r".\x08", "", shown)).replace("‐", "-")


@pytest.mark.parametrize("page", PAGES)
def test_a_page_is_correct(folder, page):
    result = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", folder / page], capture_output=True, text=True)
    assert result.returncode == 0 and not result.stdout, result.stdout
    assert "1970-01-01" in text_of(folder / page)


@pytest.mark.parametrize("page", [page for page in PAGES if PAGES[page]])
def test_a_page_has_every_section_row_and_example_of_its_manual(folder, page):
    text, manual = text_of(folder / page), (REPOSITORY / "conf" / PAGES[page]).read_text()
    for heading in re.findall(r"(?m)^###? (.*)$", manual):
        assert heading.replace("`", "").lower() in text.lower(), heading
    rows = re.findall(r"(?m)^\| `((?:[^`|]|\\\|)+)`", manual)
    assert len(rows) > 20
    for row in rows:
        assert row.replace("\\|", "|") in text, row
    blocks = re.findall(r"(?ms)^```\w*\n(.*?)^```", manual)
    for line in "".join(blocks).splitlines():
        assert re.sub(r"\s+", " ", line.strip()) in text, line
    assert not re.search(r"\]\(|\*\*|``", re.sub(r"Bearer `\$\{token\}`", "", text))


def test_the_page_of_the_program_has_all_that_help_says(folder):
    text = text_of(folder / "heartwire.1")
    overview = subprocess.run([binary(), "--help"], capture_output=True, text=True, check=True).stdout
    commands = re.findall(r"(?m)^  ([a-z]+)(?: |$)", overview.split("Commands:")[1].split("Options:")[0])
    assert {"proxy", "run", "probe", "completions"} <= set(commands)
    for words in [[], *([command] for command in commands)]:
        said = subprocess.run([binary(), *words, "--help"], capture_output=True, text=True, check=True).stdout
        assert re.sub(r"\s+", " ", said.strip()) in text, words
