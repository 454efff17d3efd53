"""PyPI's authlib, through the flow that `facts["flow"]` names."""

import json
import os
import sys

import requests

# The issuer listens on loopback, without TLS.
os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"
from authlib.common.security import generate_token  # noqa: E402
from authlib.integrations.requests_client import OAuth2Session  # noqa: E402
from authlib.oauth2.rfc7523 import PrivateKeyJWT  # noqa: E402
from authlib.oidc.core import CodeIDToken  # noqa: E402
from joserfc import jwt  # noqa: E402
from joserfc.jwk import ECKey, KeySet  # noqa: E402

facts = json.loads(sys.argv[1])
metadata = requests.get(facts["issuer"] + "/.well-known/openid-configuration", timeout=10).json()


def say(value):
    print(json.dumps(value), flush=True)


def send(url):
    say({"ask": "authorize", "url": url})
    return json.loads(sys.stdin.readline())["url"]


def session():
    secret = facts["client_secret"]
    if facts["auth"] == "private_key_jwt":
        secret = ECKey.import_key(facts["key"])
    found = OAuth2Session(
        facts["client_id"],
        secret,
        scope=facts["scope"],
        redirect_uri=facts["redirect_uri"],
        token_endpoint_auth_method=facts["auth"],
        code_challenge_method="S256",
    )
    if facts["auth"] == "private_key_jwt":
        # Its audience is the issuer: a token endpoint's URL may belong to somebody else as well.
        method = PrivateKeyJWT(metadata["issuer"], headers={"kid": facts["key"]["kid"]}, alg="ES256")
        found.register_client_auth_method(method)
    return found


def claims(token, nonce):
    """The claims of an ID token, checked as OpenID Connect Core §3.1.3.7 asks."""
    keys = KeySet.import_key_set(requests.get(metadata["jwks_uri"], timeout=10).json())
    algorithms = metadata["id_token_signing_alg_values_supported"]
    read = jwt.decode(token["id_token"], keys, algorithms=algorithms)
    options = {"iss": {"value": metadata["issuer"]}, "aud": {"value": facts["client_id"]}}
    params = {"nonce": nonce, "client_id": facts["client_id"], "access_token": token["access_token"]}
    checked = CodeIDToken(read.claims, read.header, options, params)
    checked.validate(leeway=5)
    return dict(checked)


def code():
    client, verifier, nonce = session(), generate_token(48), generate_token(24)
    url, _ = client.create_authorization_url(
        metadata["authorization_endpoint"], code_verifier=verifier, nonce=nonce
    )
    token = client.fetch_token(
        metadata["token_endpoint"], authorization_response=send(url), code_verifier=verifier
    )
    result = {"tokens": dict(token), "claims": claims(token, nonce)}
    result["userinfo"] = client.get(metadata["userinfo_endpoint"]).json()
    result["called"] = client.get(facts["api"]).status_code
    result["renewed"] = dict(client.refresh_token(metadata["token_endpoint"]))
    return result


def client_credentials():
    client = session()
    token = client.fetch_token(metadata["token_endpoint"], grant_type="client_credentials")
    return {"tokens": dict(token), "called": client.get(facts["api"]).status_code}


say({"result": {"code": code, "client_credentials": client_credentials}[facts["flow"]]()})
