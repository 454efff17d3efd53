"""authority.py BINARY LOAD PARTS FOLDER SECONDS ROUNDS: what the authority costs, beside oidc-provider.

The server under test is pinned to core 0, the load to core 1. Each case: a second to warm up, then SECONDS; the
server's user and system time divided by the calls that were answered is CPU µs a call. All cases run in turn, ROUNDS
times; the median is printed. Prints Markdown.
"""

import base64
import hashlib
import http.client
import json
import os
import re
import shutil
import sqlite3
import statistics
import subprocess
import sys
import time
import urllib.parse

from common import CONTROL, PASSWORD, field, start, ticks

BINARY, LOAD, PARTS, FOLDER = sys.argv[1:5]
SECONDS, ROUNDS = int(sys.argv[5]), int(sys.argv[6])
PEER = 7410
CONNECTIONS = 16
# What waits for the disk: commits are shared by those who wait, so their number decides how many there are a second.
WAITING = 64
CLIENTS, GRANTS = 10_000, 100_000


def resident(pid):
    with open(f"/proc/{pid}/status") as file:
        return int(re.search(r"VmRSS:\s+(\d+)", file.read()).group(1)) / 1024


def run(*args):
    done = subprocess.run([BINARY, *args, "--json", "--data", f"{FOLDER}/data"], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{args}: {done.stderr}")
    return json.loads(done.stdout)


def load(work, rate=0, seconds=SECONDS, port=CONTROL):
    plan = {"address": f"http://127.0.0.1:{port}", "connections": work.get("connections", CONNECTIONS),
            "seconds": seconds, "rate": rate, "work": work}
    path = f"{FOLDER}/plan.json"
    with open(path, "w") as file:
        json.dump(plan, file)
    done = subprocess.run(["taskset", "-c", "1", LOAD, path], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"load: {done.stderr}")
    seen = json.loads(done.stdout)
    if seen["errors"]:
        sys.exit(f"{seen['errors']} errors, such as {seen['error']}")
    return seen


def request(path, form, headers=""):
    body = urllib.parse.urlencode(form)
    return (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\n"
        f"{headers}Content-Length: {len(body)}\r\n\r\n{body}"
    )


class Browser:
    """Forms and cookies, no scripts."""

    def __init__(self):
        self.cookies = {}

    def call(self, path, form=None):
        connection = http.client.HTTPConnection("127.0.0.1", CONTROL)
        headers = {"Host": f"localhost:{CONTROL}", "Cookie": "; ".join(f"{k}={v}" for k, v in self.cookies.items())}
        body = None
        if form is not None:
            body = urllib.parse.urlencode(form)
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        connection.request("GET" if form is None else "POST", path, body, headers)
        answer = connection.getresponse()
        text = answer.read().decode()
        for line in answer.headers.get_all("Set-Cookie") or []:
            name, value = line.split(";")[0].split("=", 1)
            self.cookies[name] = value
        return answer.status, answer.headers.get("Location"), text


def sync_ms():
    """The disk's own: one small write and fsync, median of 200."""
    path, times = f"{FOLDER}/sync", []
    with open(path, "wb") as file:
        for _ in range(200):
            begun = time.monotonic()
            file.write(b"x" * 4096)
            file.flush()
            os.fsync(file.fileno())
            times.append((time.monotonic() - begun) * 1000)
    return statistics.median(times)


def fill():
    """Gives the store clients and live grants like those that are there. The gate must not run."""
    database = sqlite3.connect(f"{FOLDER}/data/portcullis.db")

    def copies(table, count, change):
        cursor = database.execute(f"SELECT * FROM {table} LIMIT 1")
        columns = [column[0] for column in cursor.description]
        model = dict(zip(columns, cursor.fetchone()))
        marks = ", ".join("?" * len(columns))
        rows = (tuple(change(dict(model), number).values()) for number in range(count))
        database.executemany(f"INSERT INTO {table} VALUES ({marks})", rows)

    def name(kind, number):
        return base64.b32encode(hashlib.sha256(f"{kind}{number}".encode()).digest())[:12].decode()

    def renamed(row, kind, number):
        new = name(kind, number)
        row["doc"] = row["doc"].replace(row["id"], new)
        row["id"] = new
        return row

    def token(row, number):
        row["mac"] = hashlib.sha256(f"token{number}".encode()).digest()
        row["grant_id"] = name("grant", number)
        return row

    copies("clients", CLIENTS, lambda row, number: renamed(row, "client", number))
    copies("grants", GRANTS, lambda row, number: renamed(row, "grant", number))
    copies("refresh_tokens", GRANTS, token)
    database.commit()
    database.close()


class Bench:
    def __init__(self):
        made = run("client", "create", "--name", "service", "--grant", "client_credentials", "--scope", "read", "--auth", "client_secret_post")
        self.service = {"client_id": made["client_id"], "client_secret": made["client_secret"]}
        self.app = run("client", "create", "--name", "app", "--public", "--no-consent", "--redirect-uri", "https://app.example/cb",
                       "--scope", "read", "openid", "offline_access")["client_id"]
        made = run("user", "create", "--email", "ada@example.com")
        self.browser = Browser()
        _, _, page = self.browser.call("/setup")
        self.browser.call("/setup", {"csrf": field(page, "csrf"), "code": made["setup_url"].split("#")[1], "password": PASSWORD})
        self.verifier = "v" * 43
        challenge = base64.urlsafe_b64encode(hashlib.sha256(self.verifier.encode()).digest()).rstrip(b"=").decode()
        self.query = urllib.parse.urlencode({
            "client_id": self.app, "response_type": "code", "redirect_uri": "https://app.example/cb",
            "scope": "read openid offline_access", "code_challenge": challenge, "code_challenge_method": "S256",
        })
        _, _, page = self.browser.call(f"/oauth/authorize?{self.query}")
        form = {"csrf": field(page, "csrf"), "continue": field(page, "continue"), "email": "ada@example.com", "password": PASSWORD}
        self.browser.call("/login", form)

    def code(self, query=None):
        status, location, page = self.browser.call(f"/oauth/authorize?{query or self.query}")
        if status != 303:
            page = self.browser.call("/oauth/decide", {"csrf": field(page, "csrf"), "continue": field(page, "continue"), "answer": "allow"})
            location = page[1]
        return urllib.parse.parse_qs(urllib.parse.urlparse(location).query)["code"][0]

    def token(self, form):
        connection = http.client.HTTPConnection("127.0.0.1", CONTROL)
        connection.request("POST", "/oauth/token", urllib.parse.urlencode(form), {"Host": f"localhost:{CONTROL}", "Content-Type": "application/x-www-form-urlencoded"})
        return json.loads(connection.getresponse().read())

    def redeem(self):
        return {"grant_type": "authorization_code", "client_id": self.app, "redirect_uri": "https://app.example/cb", "code_verifier": self.verifier}

    def refresh(self, connections, query=None):
        tokens = [self.token({**self.redeem(), "code": self.code(query)})["refresh_token"] for _ in range(connections)]
        return {"kind": "refresh", "connections": connections, "client_id": self.app, "tokens": tokens}

    def redeemed(self, authorize):
        """Codes live for a minute: those that were asked for just now are redeemed."""
        codes = load({"kind": "ask", "connections": WAITING, "request": authorize})["codes"]
        return {"kind": "redeem", "connections": WAITING, "codes": codes, "redeem": urllib.parse.urlencode(self.redeem())}

    def works(self):
        grant = {"grant_type": "client_credentials", **self.service}
        access = self.token(grant)["access_token"]
        cookie = "; ".join(f"{k}={v}" for k, v in self.browser.cookies.items())
        authorize = f"GET /oauth/authorize?{self.query} HTTP/1.1\r\nHost: localhost\r\nCookie: {cookie}\r\n\r\n"
        without = self.query.replace("+openid", "")
        return {
            "client credentials, ES256": lambda: {"kind": "same", "request": request("/oauth/token", grant)},
            "introspection": lambda: {"kind": "same", "request": request("/oauth/introspect", {**self.service, "token": access})},
            "refresh with rotation": lambda: self.refresh(CONNECTIONS, without),
            "refresh with rotation, more at once": lambda: self.refresh(WAITING, without),
            "refresh with rotation, and an ID token": lambda: self.refresh(WAITING),
            "code redeemed, with an ID token": lambda: self.redeemed(authorize),
            "code asked for and redeemed": lambda: {"kind": "code", "connections": WAITING, "request": authorize, "redeem": urllib.parse.urlencode(self.redeem())},
        }


def peer():
    process = subprocess.Popen(["taskset", "-c", "0", "node", os.path.join(os.path.dirname(__file__), "../peers/provider.mjs"), PARTS, str(PEER)],
                               stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    if not process.stdout.readline():
        sys.exit("oidc-provider does not start")
    return process


def measure(pid, make, port):
    # What a warm-up has used up is made anew.
    load(make(), seconds=1, port=port)
    work = make()
    before = ticks(pid)
    seen = load(work, port=port)
    return (ticks(pid) - before) * 1e6 / seen["requests"], seen["requests"] / seen["seconds"], seen["p99_us"] / 1000


def main():
    shutil.rmtree(f"{FOLDER}/data", ignore_errors=True)
    gate, _ = start(BINARY, FOLDER)
    bench = Bench()
    bench.token({**bench.redeem(), "code": bench.code()})
    gate.terminate()
    gate.wait()
    fill()
    gate, ready = start(BINARY, FOLDER)
    bench.browser.call("/")
    other = peer()
    theirs = {"grant_type": "client_credentials", "client_id": "bench", "client_secret": "secret-of-the-bench", "scope": "read"}
    cases = {("oidc-provider", "client credentials, ES256"): (other.pid, PEER, lambda: {"kind": "same", "request": request("/token", theirs)})}
    for name, work in bench.works().items():
        cases[("Portcullis", name)] = (gate.pid, CONTROL, work)
    results = {key: [] for key in cases}
    for number in range(ROUNDS):
        for key, (pid, port, work) in cases.items():
            print(f"round {number + 1} of {ROUNDS}: {key}", file=sys.stderr)
            results[key].append(measure(pid, work, port))
    print("| server | case | connections | CPU µs a call | calls/s | p99 at 70 % of that, ms |\n|---|---|---:|---:|---:|---:|")
    for key, samples in results.items():
        pid, port, work = cases[key]
        cost, rate, _ = (statistics.median(values) for values in zip(*samples))
        last = work()
        late = load(last, rate=int(rate * 0.7), port=port)["p99_us"] / 1000
        print(f"| {key[0]} | {key[1]} | {last.get('connections', CONNECTIONS)} | {cost:.0f} | {rate:,.0f} | {late:.1f} |")
    print(f"\nResident with {CLIENTS:,} clients and {GRANTS:,} live grants, after the load: {resident(gate.pid):.0f} MiB "
          f"(oidc-provider, with one client: {resident(other.pid):.0f}). Ready {ready * 1000:.0f} ms after its start. "
          f"A write of 4 KiB and its fsync take {sync_ms():.2f} ms on this disk.")
    gate.terminate()
    other.terminate()


main()
