// The npm package oauth4webapi, through the flow that `facts.flow` names. It does what openid-client does, one request at
// a time, so that every check of every answer stands here.
import { part } from "../../../../../testkit/node/parts.mjs";
import { ask, facts, privateKey, refusal, run, send } from "./dialogue.mjs";

const oauth = await part("oauth4webapi");
const plain = { [oauth.allowInsecureRequests]: true };
const issuer = new URL(facts.issuer);
const key = facts.key && (await privateKey(facts.key));
const found = await oauth.discoveryRequest(issuer, { ...plain, algorithm: facts.discovery ?? "oidc" });
const as = await oauth.processDiscoveryResponse(issuer, found);
const client = { client_id: facts.client_id, ...(facts.metadata ?? {}) };
const authentication = {
  client_secret_basic: () => oauth.ClientSecretBasic(facts.client_secret),
  client_secret_post: () => oauth.ClientSecretPost(facts.client_secret),
  private_key_jwt: () => oauth.PrivateKeyJwt(key),
  none: () => oauth.None(),
}[facts.auth]();
const pair = facts.dpop && (await oauth.generateKeyPair("ES256"));
const options = { ...plain, ...(pair ? { DPoP: oauth.DPoP(client, pair) } : {}) };

/** Makes a request; once more where the server asked for a nonce in the proof (RFC 9449 §8). */
let nonces = 0;
async function insisting(request, process) {
  const response = await request();
  try {
    return await process(response);
  } catch (error) {
    if (!oauth.isDPoPNonceError(error)) throw error;
    nonces += 1;
    return process(await request());
  }
}

const push = (parameters) =>
  insisting(
    () => oauth.pushedAuthorizationRequest(as, client, authentication, parameters, options),
    (response) => oauth.processPushedAuthorizationResponse(as, client, response),
  );

const renew = (token) =>
  insisting(
    () => oauth.refreshTokenGrantRequest(as, client, authentication, token, options),
    (response) => oauth.processRefreshTokenResponse(as, client, response),
  );

async function introspect(token) {
  const response = await oauth.introspectionRequest(as, client, authentication, token, {
    ...plain,
    headers: facts.signed_introspection ? { accept: "application/token-introspection+jwt" } : {},
  });
  const type = response.headers.get("content-type");
  return { ...(await oauth.processIntrospectionResponse(as, client, response)), type };
}

async function revoke(token) {
  const response = await oauth.revocationRequest(as, client, authentication, token, plain);
  await oauth.processRevocationResponse(response);
}

/** Sends a person for a code, and redeems it. */
async function code() {
  const verifier = oauth.generateRandomCodeVerifier();
  const [state, nonce] = [oauth.generateRandomState(), oauth.generateRandomNonce()];
  let parameters = new URLSearchParams({
    client_id: client.client_id,
    response_type: "code",
    redirect_uri: facts.redirect_uri,
    scope: facts.scope,
    code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
    code_challenge_method: "S256",
    state,
    nonce,
    ...(facts.mode === "query" || !facts.mode ? {} : { response_mode: facts.mode }),
    ...(facts.parameters ?? {}),
  });
  if (facts.jar) {
    const request = await oauth.issueRequestObject(as, client, parameters, key);
    parameters = new URLSearchParams({ client_id: client.client_id, request });
  }
  let pushed = null;
  if (facts.par) {
    pushed = await push(parameters);
    parameters = new URLSearchParams({ client_id: client.client_id, request_uri: pushed.request_uri });
  }
  const url = new URL(as.authorization_endpoint);
  for (const [name, value] of parameters) url.searchParams.append(name, value);
  const back = await send(url);
  const came = back.form ? new URLSearchParams(back.form) : new URL(back.url);
  const valid =
    facts.mode === "jwt"
      ? await oauth.validateJwtAuthResponse(as, client, came, state, plain)
      : oauth.validateAuthResponse(as, client, came, state);
  const redeem = () =>
    oauth.authorizationCodeGrantRequest(
      as,
      client,
      authentication,
      valid,
      facts.redirect_uri,
      verifier,
      options,
    );
  const read = (response) =>
    oauth.processAuthorizationCodeResponse(as, client, response, {
      expectedNonce: nonce,
      requireIdToken: true,
    });
  const tokens = await insisting(redeem, read);
  return { url: String(url), back, pushed, iss: valid.get("iss"), tokens, redeem };
}

async function call(token) {
  const request = () =>
    oauth.protectedResourceRequest(token, "GET", new URL(facts.api), undefined, null, options);
  try {
    return (await request()).status;
  } catch (error) {
    if (oauth.isDPoPNonceError(error)) {
      nonces += 1;
      return (await request()).status;
    }
    if (error.status) return error.status;
    throw error;
  }
}

const flows = {
  async code() {
    const { redeem: _, ...result } = await code();
    const token = result.tokens.access_token;
    result.claims = oauth.getValidatedIdTokenClaims(result.tokens);
    const asked = () => oauth.userInfoRequest(as, client, token, options);
    const read = (response) => oauth.processUserInfoResponse(as, client, result.claims.sub, response);
    result.userinfo = await insisting(asked, read);
    if (facts.api) result.called = await call(token);
    return { ...result, nonces };
  },

  async replay() {
    const { redeem, tokens } = await code();
    const again = await redeem();
    return { tokens, again: { status: again.status, ...(await again.json()) } };
  },

  async refresh() {
    const { tokens: first } = await code();
    const [second, same] = [await renew(first.refresh_token), await renew(first.refresh_token)];
    return { first, second, same, third: await renew(second.refresh_token ?? first.refresh_token) };
  },

  async end() {
    const { tokens } = await code();
    const result = { tokens, before: await introspect(tokens.access_token) };
    await revoke(tokens.access_token);
    result.after = await introspect(tokens.access_token);
    await revoke(tokens.refresh_token);
    result.renewed = await refusal(renew(tokens.refresh_token));
    return result;
  },

  async device() {
    const asked = { scope: facts.scope };
    const response = await oauth.deviceAuthorizationRequest(as, client, authentication, asked, plain);
    const shown = await oauth.processDeviceAuthorizationResponse(as, client, response);
    const poll = () =>
      insisting(
        () => oauth.deviceCodeGrantRequest(as, client, authentication, shown.device_code, options),
        (answer) => oauth.processDeviceCodeResponse(as, client, answer),
      );
    const early = [await refusal(poll()), await refusal(poll())];
    const { page } = await ask({ ask: "device", ...shown });
    // RFC 8628 §3.5: slow_down adds five seconds to the interval for good.
    await ask({ ask: "wait", seconds: (shown.interval ?? 5) + 5 });
    const tokens = await poll();
    return { shown, early, page, tokens, again: await refusal(poll()) };
  },

  async client_credentials() {
    const asked = { scope: facts.scope, ...(facts.parameters ?? {}) };
    const tokens = await insisting(
      () => oauth.clientCredentialsGrantRequest(as, client, authentication, asked, options),
      (response) => oauth.processClientCredentialsResponse(as, client, response),
    );
    const result = { tokens, metadata: as };
    if (facts.api) result.called = await call(tokens.access_token);
    return { ...result, nonces };
  },
};

await run(flows[facts.flow]);
