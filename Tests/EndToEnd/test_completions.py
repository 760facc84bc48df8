"""The completions that the program prints, run by the shells that they are for."""

import os
import pty
import re
import select
import shutil
import signal
import subprocess
import time

import pytest

from support.paths import binary

# Asks bash for the words that complete a line, as its line editor would ask.
BASH = r"""
source <("$1" completions bash)
COMP_LINE=$2 COMP_POINT=${#2}
# Bash divides words at `=` too.
read -r -a COMP_WORDS <<< "${2//=/ = }"
case "$2" in *' ' | *=) COMP_WORDS+=('') ;; esac
case "$2" in *=) unset 'COMP_WORDS[-1]' ;; esac
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
_heartwire
printf '%s\n' "${COMPREPLY[@]}"
"""

# Completion works in zsh's line editor only. So each word that it would offer is printed, and then the shell ends.
ZSH = r"""
PS1= ; unsetopt zle_bracketed_paste prompt_cr 2>/dev/null; stty -echo
fpath=($PWD/functions $fpath); autoload -Uz compinit; compinit -u -d $PWD/dump
bindkey '^I' complete-word
zstyle ':completion:*' insert-tab false
zmodload zsh/zutil
compadd() {
    if [[ ${@[1,(i)(-|--)]} == *-(O|A|D)\ * ]]; then builtin compadd "$@"; return; fi
    local -a offered; local word
    builtin compadd -A offered "$@"
    for word in $offered; do print -r -- "<$word>"; done
}
finish() { print -r -- THE-END; exit 0; }
comppostfuncs=(finish)
print -r -- READ''Y
"""

LINES = {
    "heartwire pro": {"proxy", "probe"},
    "heartwire --v": {"--version"},
    "heartwire run --c": {"--config"},
    "heartwire proxy --up": {"--upstream", "--upstream-ca"},
    "heartwire check --config a": {"a file.conf"},
    "heartwire diagnose --json st": {"streams.jsonl"},
    "heartwire completions ": {"bash", "zsh", "fish"},
    "heartwire proxy --workers ": set(),
}


@pytest.fixture
def folder(tmp_path):
    for name in ("a file.conf", "streams.jsonl"):
        (tmp_path / name).touch()
    return tmp_path


def said(folder, *command) -> str:
    result = subprocess.run(
        [str(word) for word in command], cwd=folder, capture_output=True, text=True, timeout=30, stdin=subprocess.DEVNULL)
    assert not result.stderr, result.stderr
    return result.stdout


@pytest.mark.parametrize("line", [*LINES, "heartwire run --config=a", "heartwire run --config="])
def test_bash_completes(folder, line):
    words = set(said(folder, "bash", "-c", BASH, "bash", binary(), line).splitlines()) - {""}
    assert words == LINES.get(line, {"a file.conf"} | ({"streams.jsonl"} if line.endswith("=") else set()))


@pytest.mark.parametrize("line", LINES)
def test_fish_completes(folder, line):
    if not shutil.which("fish"):
        pytest.skip("fish is not installed")
    script = f"{binary()} completions fish | source; complete --do-complete '{line}'"
    lines = said(folder, "env", f"HOME={folder}", "fish", "--no-config", "-c", script).splitlines()
    assert {each.split("\t")[0].replace("\\ ", " ") for each in lines} == LINES[line]


def test_zsh_completes_all_of_these(folder):
    if not shutil.which("zsh"):
        pytest.skip("zsh is not installed")
    (folder / "functions").mkdir()
    (folder / "functions/_heartwire").write_text(said(folder, binary(), "completions", "zsh"))
    (folder / "init").write_text(ZSH)
    for line, wanted in LINES.items():
        text = typed_into_zsh(folder, line)
        words = set(re.findall(r"<(.+?)>", text.split("THE-END")[0]))
        assert {word.replace("\\ ", " ") for word in words} - {"functions", "init", "dump"} == wanted, (line, text)


def typed_into_zsh(folder, line) -> str:
    """What a zsh in a terminal prints for a line and a tabulator."""
    process, terminal = pty.fork()
    if process == 0:
        os.chdir(folder)
        os.execvpe("zsh", ["zsh", "-f", "-i"], {**os.environ, "TERM": "dumb", "HOME": str(folder)})
    try:
        text = b""
        for words, wanted in [("source ./init\n", b"READY\r\n"), (f"{line}\t", b"THE-END")]:
            os.write(terminal, words.encode())
            deadline = time.monotonic() + 15
            text = b""
            while wanted not in text:
                assert select.select([terminal], [], [], max(0, deadline - time.monotonic()))[0], f"zsh says only {text!r}"
                text += os.read(terminal, 65536)
        return text.decode()
    finally:
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
        os.close(terminal)
