"""`conf/heartwire.service` before systemd's own tools, and in the hands of systemd itself."""

import json
import pathlib
import shutil
import subprocess

import pytest

from support import systemd
from support.heartwire import configuration
from support.paths import REPOSITORY, binary
from support.ports import reserve_port


def unit(tmp_path) -> pathlib.Path:
    text = (REPOSITORY / "conf" / "heartwire.service").read_text()
    assert "ExecStart=/usr/bin/heartwire run" in text
    path = tmp_path / "heartwire.service"
    path.write_text(text.replace("/usr/bin/heartwire", str(binary())).replace("User=heartwire", "User=root"))
    return path


def systemd_analyze(*arguments) -> subprocess.CompletedProcess:
    program = shutil.which("systemd-analyze")
    if not program:
        pytest.skip("systemd-analyze is not installed, so that the unit file is NOT verified")
    return subprocess.run([program, *map(str, arguments)], capture_output=True, text=True, timeout=60)


def test_systemd_finds_nothing_wrong_with_the_unit_file(tmp_path):
    result = systemd_analyze("verify", "--man=no", unit(tmp_path))
    assert (result.returncode, result.stdout + result.stderr) == (0, "")


def test_systemd_notices_what_is_wrong_with_a_unit_file(tmp_path):
    path = unit(tmp_path)
    path.write_text(path.read_text().replace("Type=notify", "Type=notfy"))
    assert "notfy" in systemd_analyze("verify", "--man=no", path).stderr


def test_systemd_finds_the_unit_hardened(tmp_path):
    text = unit(tmp_path).read_text().replace("User=root", "User=heartwire")
    path = tmp_path / "heartwire.service"
    path.write_text(text)
    # In tenths: 10 means nothing is allowed, 100 means everything.
    result = systemd_analyze("security", "--offline=true", "--no-pager", "--threshold=20", path)
    print(result.stdout.splitlines()[-1])
    assert result.returncode == 0, result.stdout


def stream(connection, request):
    connection.start_stream()
    connection.chunk(b"data: first\n\n")
    connection.wait_until_left(30)


# Each script is a service's life, as an operator would run it.
UPGRADE = "systemctl --user start heartwire || exit 77; kill -USR2 $(main); sleep 1; "


LIVES = {
    # The old process is gone when the service is stopped.
    "end after an upgrade": UPGRADE + "sleep 1; open; sleep 0.5; systemctl --user stop heartwire; wait $streams; status",
    # The old process still has a stream.
    "end in the middle of an upgrade": "systemctl --user start heartwire || exit 77; open; sleep 0.5; " + UPGRADE
    + "open; sleep 0.5; systemctl --user stop heartwire; wait $streams; status",
    "end without an upgrade": "systemctl --user start heartwire || exit 77; open; sleep 0.5; systemctl --user stop heartwire; wait $streams; status",
}


@pytest.mark.parametrize("life", LIVES)
def test_systemd_ends_the_service_in_order(stage, life):
    origin, port, folder = stage.origin(stream), reserve_port(), stage.new_folder()
    (folder / "heartwire.conf").write_text(configuration(port, folder, [origin.address], drain="3s", grace="4s", heartbeat="15s"))
    text = systemd.unit((REPOSITORY / "conf/heartwire.service").read_text(), binary(), folder / "heartwire.conf", folder / "errors")
    script = f"""
streams= ; number=0
open() {{
    number=$((number + 1))
    curl -sSN --noproxy '*' -H 'Accept: text/event-stream' -o stream-$number http://127.0.0.1:{port}/stream & streams="$streams $!"
}}
status() {{ systemctl --user show heartwire -p Result -p ActiveState; }}
{LIVES[life]}
"""
    result = systemd.run(folder, text, script)
    if result is None:
        pytest.skip("no private systemd can run here")
    assert "Result=success\n" in result.stdout and "ActiveState=inactive\n" in result.stdout, (result, (folder / "errors").read_text())
    streams = sorted(folder.glob("stream-*"))
    assert len(streams) == LIVES[life].count("open;")
    for each in streams:
        assert b"\n\nretry: " in each.read_bytes(), "a stream was cut"
    records = [json.loads(line) for line in (folder / "stream.log").read_text().splitlines()]
    assert [record["cause"] for record in records if record["event"] == "stream_end"] == ["drained"] * len(streams)


def test_systemd_starts_the_service_again_when_a_new_process_dies_while_the_old_one_drains(stage):
    origin, port, folder = stage.origin(stream), reserve_port(), stage.new_folder()
    (folder / "heartwire.conf").write_text(configuration(port, folder, [origin.address], drain="40s", grace="40s", heartbeat="15s"))
    text = systemd.unit((REPOSITORY / "conf/heartwire.service").read_text(), binary(), folder / "heartwire.conf", folder / "errors")
    result = systemd.run(folder, text, f"""
systemctl --user start heartwire || exit 77
streams=
for number in 1 2 3 4 5 6; do
    curl -sSN --noproxy '*' -H 'Accept: text/event-stream' -o stream-$number http://127.0.0.1:{port}/stream & streams="$streams $!"
done
sleep 0.5
kill -USR2 $(main)
until grep -q 'has taken over' errors; do sleep 0.05; done
sleep 0.2; successor=$(main)
kill -9 $successor
for attempt in $(seq 100); do
    sleep 0.1
    test $(main) != $successor && test $(main) != 0 && (exec 3<>/dev/tcp/127.0.0.1/{port}) && break
done
echo "after $attempt looks"
systemctl --user show heartwire -p NRestarts -p ActiveState
wait $streams
systemctl --user stop heartwire
""")
    if result is None:
        pytest.skip("no private systemd can run here")
    errors = (folder / "errors").read_text()
    print(result.stdout)
    assert "NRestarts=1\n" in result.stdout and "ActiveState=active\n" in result.stdout, (result, errors)
    assert "which had taken over, was ended by signal 9; no process serves now" in errors
    for each in folder.glob("stream-*"):
        assert b"\n\nretry: " in each.read_bytes(), "a stream was cut"


def test_systemd_tells_of_a_reload_that_failed_and_goes_on_trying_a_start(stage):
    port, folder = reserve_port(), stage.new_folder()
    path = folder / "heartwire.conf"
    path.write_text(configuration(port, folder, ["127.0.0.1:1"]))
    text = systemd.unit((REPOSITORY / "conf/heartwire.service").read_text(), binary(), path, folder / "errors")
    result = systemd.run(folder, text.replace("RestartSec=1s", "RestartSec=100ms"), f"""
systemctl --user start heartwire || exit 77
cp heartwire.conf good; echo nonsense >> heartwire.conf
systemctl --user reload heartwire && echo 'a bad file was taken'
cp good heartwire.conf
systemctl --user reload heartwire && echo 'a good file was taken'
systemctl --user stop heartwire
cat > taker <<END
import os, pathlib, socket, time
taken = socket.create_server(("127.0.0.1", {port}))
pathlib.Path("taken").touch()
while not os.path.exists("enough"): time.sleep(0.01)
END
python3 taker &
until [ -e taken ]; do sleep 0.05; done
systemctl --user start heartwire
until [ "$(grep -c 'cannot listen' errors)" -gt 5 ]; do sleep 0.05; done
touch enough
until systemctl --user is-active heartwire; do sleep 0.05; done
systemctl --user show heartwire -p ActiveState
""")
    if result is None:
        pytest.skip("no private systemd can run here")
    assert "a good file was taken" in result.stdout and "a bad file was taken" not in result.stdout, result
    assert (folder / "errors").read_text().count("cannot listen") > 5
    assert "ActiveState=active\n" in result.stdout
