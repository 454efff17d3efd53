"""What the measurements of the authority share: a gate on core 0, its CPU time, the forms of its pages."""

import atexit
import html
import re
import subprocess
import sys
import time

GATE, CONTROL = 7400, 7401
BASE = f"http://localhost:{CONTROL}"
PASSWORD = "correct horse battery staple"


def ticks(pid):
    """Seconds of CPU time, user and system."""
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / 100


def field(page, name):
    return html.unescape(re.search(rf'name="{name}" value="([^"]*)"', page).group(1))


def start(binary, folder, server=""):
    """A gate with a route for tokens of its own; the process, and how long it took until it was ready. `server`: more of
    its `[server]`."""
    with open(f"{folder}/gate.toml", "w") as file:
        file.write(f"""version = 1
[server]
public_url = "{BASE}"
control = "127.0.0.1:{CONTROL}"
{server}
[[listener]]
name = "api"
bind = "127.0.0.1:{GATE}"
[[upstream]]
name = "behind"
servers = ["http://127.0.0.1:7000"]
[[route]]
name = "api"
path = "/api/{{**}}"
upstream = "behind"
[route.access]
any = [{{ jwt = {{ issuer = "self", scopes = ["read"] }} }}]
""")
    begun = time.monotonic()
    log = open(f"{folder}/gate.out", "w")
    gate = subprocess.Popen(
        ["taskset", "-c", "0", binary, "up", "--json", "--config", f"{folder}/gate.toml", "--data", f"{folder}/data"],
        stdout=subprocess.PIPE, stderr=log, text=True,
    )
    atexit.register(gate.terminate)
    if not gate.stdout.readline():
        sys.exit(f"the gate does not start: see {folder}/gate.out")
    return gate, time.monotonic() - begun
