"""PyPI's scim2-tester and scim2-client, against the gate's SCIM."""

import json
import sys
import uuid

from httpx2 import Client
from scim2_client.engines.httpx2 import SyncSCIMClient
from scim2_models import PatchOp, PatchOperation
from scim2_tester import Status, check_server

facts = json.loads(sys.argv[1])


def client():
    http = Client(
        base_url=facts["base"],
        headers={"Authorization": "Bearer " + facts["token"]},
        timeout=30,
    )
    made = SyncSCIMClient(http)
    made.discover()
    return made


def check():
    tested = client()
    # Here a user name is an e-mail address, which no schema can say.
    names = [f"{uuid.uuid4()}@example.com" for _ in range(500)]
    user = tested.get_resource_model("User")
    user.model_fields["user_name"].examples = names
    results = check_server(tested)
    bad = [
        {"title": it.title, "status": it.status.name, "reason": str(it.reason)}
        for it in results
        if it.status in (Status.ERROR, Status.CRITICAL, Status.DEVIATION)
    ]
    counts = {}
    for it in results:
        counts[it.status.name] = counts.get(it.status.name, 0) + 1
    return {"bad": bad, "counts": counts}


def life():
    """A person joins, is moved between groups, and leaves."""
    used = client()
    User = used.get_resource_model("User")
    Group = used.get_resource_model("Group")
    person = used.create(User(user_name="ann@example.com", display_name="Ann Lee", external_id="7"))
    group = used.create(Group(display_name="Sales Team"))
    member = PatchOp[Group](
        operations=[PatchOperation(op="add", path="members", value=[{"value": person.id}])]
    )
    used.modify(Group, group.id, member)
    joined = used.query(User, person.id)
    closed = PatchOp[User](
        operations=[PatchOperation(op="replace", path="active", value=False)]
    )
    used.modify(User, person.id, closed)
    left = used.query(User, person.id)
    used.delete(Group, group.id)
    return {
        "id": person.id,
        "group": group.id,
        "groups": [it.value for it in joined.groups or []],
        "active": left.active,
    }


print(json.dumps({"result": {"check": check, "life": life}[facts["flow"]]()}), flush=True)
