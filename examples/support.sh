# Shared by the runnable examples: say what happens, install what is missing, build, start and stop programs.
# Sourced, never run. Invariant: every program that an example starts is stopped when the example ends.

repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
work=$(mktemp -d)
chmod 755 "$work"
started=()

say() { printf '\n== %s\n' "$*"; }
fail() { printf '\nFAILED: %s\n' "$*" >&2; exit 1; }

stop_everything() {
    local process _
    for process in "${started[@]}"; do kill "$process" 2>/dev/null; done
    for _ in $(seq 30); do
        kill -0 "${started[@]}" 2>/dev/null || break
        sleep 0.1
    done
    for process in "${started[@]}"; do kill -9 "$process" 2>/dev/null; done
    wait 2>/dev/null
    rm -rf "$work"
}
trap stop_everything EXIT
trap 'exit 130' INT TERM

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"
    elif command -v sudo >/dev/null; then sudo "$@"
    else fail "this needs root or sudo: $*"
    fi
}

# install PACKAGE...: Debian packages, those that are missing only.
install() {
    local missing=() package
    for package in "$@"; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
    done
    [ ${#missing[@]} = 0 ] && return
    say "Installing ${missing[*]} (apt)"
    local try
    for try in 1 2 3; do
        as_root apt-get update -qq && as_root env DEBIAN_FRONTEND=noninteractive \
            apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null && return
        sleep $((try * 3))
    done
    fail "apt could not install ${missing[*]}"
}

# Sets $heartwire to the binary: $HEARTWIRE_BINARY, or a fresh release build.
build_heartwire() {
    if [ -n "${HEARTWIRE_BINARY:-}" ]; then
        heartwire=$HEARTWIRE_BINARY
    else
        "$repository/examples/quickstart" --no-run || fail "the build failed"
        heartwire=$repository/.build/release/heartwire
    fi
    "$heartwire" --version >/dev/null || fail "$heartwire does not run"
}

# Sets $python to a virtual environment that has what examples/requirements.txt names.
prepare_python() {
    local folder=$repository/.build/examples-python requirements=$repository/examples/requirements.txt try
    python=$folder/bin/python
    if [ -x "$python" ] && cmp -s "$requirements" "$folder/requirements.installed"; then return; fi
    command -v python3 >/dev/null && python3 -c 'import ensurepip, venv' 2>/dev/null || install python3 python3-venv
    say "Installing FastAPI, sse-starlette, uvicorn, PyJWT and redis into $folder (PyPI)"
    mkdir -p "$repository/.build"
    python3 -m venv --clear "$folder" || fail "python3 -m venv failed"
    for try in 1 2 3; do
        if "$python" -m pip install --quiet --disable-pip-version-check -r "$requirements"; then
            cp "$requirements" "$folder/requirements.installed"
            return
        fi
        sleep $((try * 3))
    done
    fail "pip could not install what the backend needs"
}

# start NAME COMMAND...: runs it in the background; its output goes to $work/NAME.log.
start() {
    local name=$1
    shift
    "$@" >"$work/$name.log" 2>&1 &
    started+=($!)
}

# wait_for_port NAME PORT: until something listens there.
wait_for_port() {
    local _
    for _ in $(seq 150); do
        if (exec 3<>"/dev/tcp/127.0.0.1/$2") 2>/dev/null; then return; fi
        sleep 0.1
    done
    cat "$work/$1.log" >&2
    fail "$1 does not listen on port $2"
}

# free_port: a port that nobody listens on at this moment.
free_port() {
    local port
    while :; do
        port=$((11000 + RANDOM % 20000))
        (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || { echo "$port"; return; }
    done
}

# read_stream SECONDS URL [CURL-OPTION...]: reads a stream for that long; sets $output to what came and $status to curl's
# (0: the stream ended, 28: it was still alive when time was up, anything else: it was cut).
read_stream() {
    local seconds=$1 url=$2
    shift 2
    output=$(curl --silent --no-buffer --noproxy '*' --max-time "$seconds" "$@" "$url")
    status=$?
}
