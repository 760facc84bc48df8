# Debian packages for Tests/run and Tests/bench, which source this: what is missing is installed, as root or with sudo.

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"
    elif command -v sudo >/dev/null; then sudo "$@"
    else echo "$0: this needs root or sudo: $*" >&2; return 1
    fi
}

# three_times COMMAND...: package servers fail from time to time.
three_times() {
    local try
    for try in 1 2 3; do
        "$@" && return 0
        sleep $((try * 3))
    done
    return 1
}

apt_install() {
    as_root apt-get update -qq && as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

# is_there NAME: whether there is that command, or that file when it begins with /.
is_there() {
    case "$1" in
        /*) [ -e "$1" ] ;;
        *) PATH="$PATH:/usr/sbin:/sbin" command -v "$1" >/dev/null ;;
    esac
}

# packages_for COMMAND=PACKAGE...: installs the packages whose command (or file, when it begins with /) is missing.
packages_for() {
    local pair missing=()
    for pair in "$@"; do is_there "${pair%%=*}" || missing+=("${pair#*=}"); done
    if [ ${#missing[@]} = 0 ]; then echo "nothing is missing"; return 0; fi
    echo "installing with apt: ${missing[*]}"
    command -v apt-get >/dev/null || { echo "$0: no apt-get here; install ${missing[*]} by hand" >&2; return 1; }
    three_times apt_install "${missing[@]}"
}

# servers_for COMMAND=PACKAGE...: the same for servers that tests start themselves. Packages of servers start them: those that were
# installed just now are stopped, and do not start with the machine either. A package's service has its name.
servers_for() {
    local pair fresh=() package
    for pair in "$@"; do is_there "${pair%%=*}" || fresh+=("${pair#*=}"); done
    packages_for "$@" || return 1
    for package in "${fresh[@]}"; do
        if [ -d /run/systemd/system ]; then as_root systemctl disable --quiet --now "$package"
        elif [ -x "/etc/init.d/$package" ]; then as_root "/etc/init.d/$package" stop >/dev/null
        fi || echo "the service $package could not be stopped"
    done
}
