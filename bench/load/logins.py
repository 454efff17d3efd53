"""logins.py BINARY LOAD FOLDER SECONDS: what people who sign in all at once leave to tokens.

The server is pinned to core 0, the load to core 1. First tokens alone (client credentials, as fast as they are
answered), then the same tokens beside 1,000 people who all sign in at the same moment, each from an address of their
own, and who try again when they are told to. What tokens cost is taken off the server's CPU time; what is left is the
logins'. Prints Markdown.
"""

import asyncio
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
import urllib.parse

from common import CONTROL, PASSWORD, field, start, ticks

BINARY, LOAD, FOLDER = sys.argv[1:4]
SECONDS = int(sys.argv[4])
PEOPLE = 1000
# Of each kind, where times are compared.
ROUNDS = 300


def run(*args, text=None):
    done = subprocess.run([BINARY, *args, "--json", "--data", f"{FOLDER}/data"], capture_output=True, text=True, input=text)
    if done.returncode:
        sys.exit(f"{args}: {done.stderr}{done.stdout}")
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


async def call(reader_writer, person, method, path, cookies, form=None):
    reader, writer = reader_writer
    body = urllib.parse.urlencode(form) if form is not None else ""
    head = f"{method} {path} HTTP/1.1\r\nHost: localhost:{CONTROL}\r\nX-Forwarded-For: 198.{person // 256}.{person % 256}.7\r\nX-Forwarded-Proto: http\r\n"
    head += f"Origin: http://localhost:{CONTROL}\r\n" if form is not None else ""
    head += f"Cookie: {'; '.join(f'{k}={v}' for k, v in cookies.items())}\r\n" if cookies else ""
    head += f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(body)}\r\n\r\n" if form is not None else "\r\n"
    writer.write((head + body).encode())
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    status = int(head.split(" ", 2)[1])
    headers = [line.split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line]
    length = next((int(value) for name, value in headers if name.lower() == "content-length"), 0)
    text = (await reader.readexactly(length)).decode()
    for name, value in headers:
        if name.lower() == "set-cookie":
            key, value = value.split(";")[0].split("=", 1)
            cookies[key] = value
    again = next((int(value) for name, value in headers if name.lower() == "retry-after"), 0)
    return status, text, again


async def person(number, gun, until, seen):
    """Opens the page, waits for the others, signs in; asked to wait, waits and tries again."""
    connection = await asyncio.open_connection("127.0.0.1", CONTROL)
    cookies = {}
    status, page, _ = await call(connection, number, "GET", "/login", cookies)
    if status != 200:
        seen["other"].append(status)
        return
    form = {"csrf": field(page, "csrf"), "email": f"p{number}@example.com", "password": PASSWORD}
    if 'name="continue"' in page:
        form["continue"] = field(page, "continue")
    await gun.wait()
    begun = time.monotonic()
    while time.monotonic() < until():
        status, page, again = await call(connection, number, "POST", "/login", cookies, form)
        if status == 303 or "You are signed in" in page:
            seen["in"].append(time.monotonic() - begun)
            return
        if status not in (429, 503) and "Many people sign in just now" not in page:
            seen["other"].append(status)
            return
        seen["again"] += 1
        await asyncio.sleep(max(again, 1) + number % 100 / 100)
    seen["late"] += 1


async def beside(gate, plan):
    gun, seen, end = asyncio.Event(), {"in": [], "again": 0, "late": 0, "other": []}, [float("inf")]
    people = []
    for number in range(PEOPLE):
        people.append(asyncio.create_task(person(number, gun, lambda: end[0], seen)))
        # Their pages are no part of what is measured.
        if number % 50 == 49:
            await asyncio.sleep(0.2)
    await asyncio.sleep(2)
    before, begun = ticks(gate.pid), time.monotonic()
    end[0] = begun + SECONDS
    gun.set()
    load = await asyncio.create_subprocess_exec("taskset", "-c", "1", LOAD, plan, stdout=subprocess.PIPE)
    out, _ = await load.communicate()
    spent, passed = ticks(gate.pid) - before, time.monotonic() - begun
    done = len(seen["in"])
    end[0] = time.monotonic() + 120
    await asyncio.gather(*people)
    return json.loads(out), spent, passed, done, seen


def main():
    shutil.rmtree(f"{FOLDER}/data", ignore_errors=True)
    os.makedirs(FOLDER, exist_ok=True)
    os.sched_setaffinity(0, {1})
    gate, _ = start(BINARY, FOLDER, 'proxies = { trusted = ["127.0.0.1/32"], header = "x-forwarded-for" }')
    made = run("client", "create", "--name", "service", "--grant", "client_credentials", "--scope", "read", "--auth", "client_secret_post")[0]
    # One hash of our own for all: so what is measured is a usual login, not one that is hashed anew.
    setup = run("user", "create", "--email", "model@example.com")[0]["setup_url"].split("#")[1]
    asyncio.run(set_up(setup))
    model = next(line for line in run("user", "export", "--with-hashes") if line.get("email") == "model@example.com")
    lines = (json.dumps({"email": f"p{n}@example.com", "password_hash": model["password_hash"]}) for n in range(PEOPLE))
    run("user", "import", "-", text="\n".join(lines) + "\n")
    body = urllib.parse.urlencode({"grant_type": "client_credentials", "client_id": made["client_id"], "client_secret": made["client_secret"]})
    head = f"POST /oauth/token HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(body)}\r\n\r\n"
    plan = {"address": f"http://127.0.0.1:{CONTROL}", "connections": 16, "seconds": SECONDS, "rate": 0, "work": {"kind": "same", "request": head + body}}
    with open(f"{FOLDER}/plan.json", "w") as file:
        json.dump(plan, file)

    def alone():
        before = ticks(gate.pid)
        out = json.loads(subprocess.run(["taskset", "-c", "1", LOAD, f"{FOLDER}/plan.json"], capture_output=True, text=True).stdout)
        return out["requests"] / out["seconds"], (ticks(gate.pid) - before) / out["requests"], out["p99_us"]

    alone()
    rate, cost, p99 = alone()
    out, spent, passed, done, seen = asyncio.run(beside(gate, f"{FOLDER}/plan.json"))
    times = asyncio.run(compare())
    beside_rate = out["requests"] / out["seconds"]
    logins = (spent - cost * out["requests"]) / passed
    print("| | alone | beside 1,000 logins |\n|---|---:|---:|")
    print(f"| tokens a second | {rate:,.0f} | {beside_rate:,.0f} ({beside_rate / rate:.0%}) |")
    print(f"| p99 of a token, ms, with 16 that ask without a pause | {p99 / 1000:.1f} | {out['p99_us'] / 1000:.1f} |")
    print(f"| share of the core that logins took | | {logins:.0%} |")
    print(f"\n{done} had signed in within these {passed:.0f} s, {len(seen['in'])} of {PEOPLE} in the end (median "
          f"{statistics.median(seen['in']):.1f} s, the last after {max(seen['in']):.1f} s); {seen['again']} times somebody was asked to "
          f"wait; {seen['late']} gave up, {len(seen['other'])} got another answer {sorted(set(seen['other']))}.")
    print("\nDoes the time tell who has an account? Known and unknown addresses in turn, one at a time, each from an address of its own:\n")
    print("| what is sent | known, median ms | unknown, median ms | difference of the medians, µs | P that a known one takes longer |\n|---|---:|---:|---:|---:|")
    for name, (known, unknown) in times.items():
        a, b = statistics.median(known), statistics.median(unknown)
        print(f"| {name} | {a * 1000:.2f} | {b * 1000:.2f} | {(a - b) * 1e6:+.0f} | {longer(known, unknown):.2f} |")
    print(f"\n{ROUNDS} of each; 0.50 is what two samples of the same kind give, within {1.96 / (6 * ROUNDS) ** 0.5:.2f} (Mann and Whitney, 95 %).")
    gate.terminate()
    gate.wait()


def longer(some, others):
    """How often one of `some` takes longer than one of `others`."""
    ranks = sorted([(time, 0) for time in some] + [(time, 1) for time in others])
    wins, seen = 0, 0
    for _, which in ranks:
        if which:
            seen += 1
        else:
            wins += seen
    return wins / len(some) / len(others)


async def compare():
    """Login with a wrong password, and a letter asked for; what differs is only whether there is an account."""
    times = {}
    for name, path, more in [
        ("a wrong password", "/login", {"password": "not the right one, by far"}),
        ("a letter to set a new password", "/recover", {}),
    ]:
        seen = times[name] = ([], [])
        for round in range(ROUNDS):
            for which in (0, 1) if round % 2 else (1, 0):
                email = f"p{round}@example.com" if which == 0 else f"q{round}@example.com"
                connection, cookies = await asyncio.open_connection("127.0.0.1", CONTROL), {}
                _, page, _ = await call(connection, 1000 + 2 * round + which, "GET", path, cookies)
                form = {"csrf": field(page, "csrf"), "email": email, **more}
                if 'name="continue"' in page:
                    form["continue"] = field(page, "continue")
                begun = time.perf_counter()
                status, _, _ = await call(connection, 1000 + 2 * round + which, "POST", path, cookies, form)
                seen[which].append(time.perf_counter() - begun)
                if status not in (200, 303, 400, 401, 403, 422):
                    sys.exit(f"{path}: {status}")
                connection[1].close()
    return times


async def set_up(code):
    connection, cookies = await asyncio.open_connection("127.0.0.1", CONTROL), {}
    _, page, _ = await call(connection, 1, "GET", "/setup", cookies)
    status, page, _ = await call(connection, 1, "POST", "/setup", cookies, {"csrf": field(page, "csrf"), "code": code, "password": PASSWORD})
    if status not in (200, 303):
        sys.exit(f"set-up: {status} {page}")


main()
