"""keys.py FOLDER COUNT: gives the store in FOLDER COUNT further API keys, made after the one that is there.

The gate must not run. The keys open nothing, since nobody knows what their codes stand for; they are what a
large installation has to hold and to look through.
"""

import hashlib
import os
import sqlite3
import sys

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
BATCH = 50_000


def store(folder):
    """The one file of the folder that is a SQLite database."""
    for place, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(place, name)
            with open(path, "rb") as file:
                if file.read(15) == b"SQLite format 3":
                    return path
    sys.exit(f"there is no SQLite database in {folder}")


def key_id(number):
    """Twelve characters of base62, spread like real ones."""
    value = int.from_bytes(hashlib.sha256(number.to_bytes(8, "big")).digest()[:9], "big")
    text = ""
    for _ in range(12):
        value, digit = divmod(value, 62)
        text += ALPHABET[digit]
    return text


def main():
    folder, count = sys.argv[1], int(sys.argv[2])
    database = sqlite3.connect(store(folder))
    cursor = database.execute("SELECT * FROM api_keys LIMIT 1")
    columns = [column[0] for column in cursor.description]
    model = cursor.fetchone()
    if model is None:
        sys.exit("the store has no key to copy")
    places = {name: columns.index(name) for name in ("id", "name", "mac")}
    marks = ", ".join("?" * len(columns))

    def row(number):
        values = list(model)
        values[places["id"]] = key_id(number)
        values[places["name"]] = f"key {number}"
        values[places["mac"]] = hashlib.sha256(b"mac" + number.to_bytes(8, "big")).digest()
        return values

    for first in range(0, count, BATCH):
        rows = (row(number) for number in range(first, min(first + BATCH, count)))
        database.executemany(f"INSERT INTO api_keys VALUES ({marks})", rows)
        database.commit()
    database.close()


main()
