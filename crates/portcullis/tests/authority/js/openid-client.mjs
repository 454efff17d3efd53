// The npm package openid-client, through the flow that `facts.flow` names.
import { part } from "../../../../../testkit/node/parts.mjs";
import { ask, facts, privateKey, refusal, run, send } from "./dialogue.mjs";

const client = await part("openid-client");
const key = facts.key && (await privateKey(facts.key));

const authentication = () => {
  switch (facts.auth) {
    case "client_secret_basic":
      return client.ClientSecretBasic(facts.client_secret);
    case "client_secret_post":
      return client.ClientSecretPost(facts.client_secret);
    case "private_key_jwt":
      return client.PrivateKeyJwt(key);
    default:
      return client.None();
  }
};

const options = {
  execute: [client.allowInsecureRequests],
  algorithm: facts.discovery ?? "oidc",
};
/** A client that is known, or one that makes itself known (RFC 7591). */
const config = facts.client_id
  ? await client.discovery(
      new URL(facts.issuer),
      facts.client_id,
      facts.metadata ?? {},
      authentication(),
      options,
    )
  : await client.dynamicClientRegistration(
      new URL(facts.issuer),
      facts.metadata,
      authentication(),
      options,
    );
if (facts.mode === "jwt") client.useJwtResponseMode(config);
const pair = facts.dpop && (await client.randomDPoPKeyPair("ES256"));
const dpop = pair ? { DPoP: client.getDPoPHandle(config, pair) } : {};

/** Where a person has to go, with further parameters, and what to expect when they are back. */
async function authorization(more = {}) {
  const verifier = client.randomPKCECodeVerifier();
  const [state, nonce] = [client.randomState(), client.randomNonce()];
  let parameters = {
    redirect_uri: facts.redirect_uri,
    scope: facts.scope,
    code_challenge: await client.calculatePKCECodeChallenge(verifier),
    code_challenge_method: "S256",
    state,
    nonce,
    ...(facts.mode === "form_post" ? { response_mode: "form_post" } : {}),
    ...(facts.parameters ?? {}),
    ...more,
  };
  let url = client.buildAuthorizationUrl(config, parameters);
  if (facts.jar) {
    url = await client.buildAuthorizationUrlWithJAR(config, parameters, key);
    parameters = url.searchParams;
  }
  if (facts.par) url = await client.buildAuthorizationUrlWithPAR(config, parameters, dpop);
  return { url, checks: { pkceCodeVerifier: verifier, expectedState: state, expectedNonce: nonce } };
}

/** What a person came back with, as the package takes it. */
function arrived({ url, form }) {
  if (!form) return new URL(url);
  return new Request(url, { method: "POST", body: new URLSearchParams(form) });
}

const call = async (token) =>
  (await client.fetchProtectedResource(config, token, new URL(facts.api), "GET", null, undefined, dpop))
    .status;

/** What the gate's challenge asks for (RFC 9470 §3); null where the call passes. */
async function challenged(token, path) {
  const url = new URL(facts.gate + path);
  try {
    await client.fetchProtectedResource(config, token, url, "GET", null, undefined, dpop);
    return null;
  } catch (error) {
    if (!(error instanceof client.WWWAuthenticateChallengeError)) throw error;
    const { scheme, parameters } = error.cause.find((it) => it.parameters.error);
    return { status: error.status, scheme, ...parameters };
  }
}

const flows = {
  async code() {
    const { url, checks } = await authorization();
    const back = await send(url);
    const tokens = await client.authorizationCodeGrant(config, arrived(back), checks, {}, dpop);
    const claims = tokens.claims();
    const result = { url: String(url), back, tokens, claims, client: config.clientMetadata() };
    result.userinfo = await client.fetchUserInfo(config, tokens.access_token, claims.sub, dpop);
    if (facts.api) result.called = await call(tokens.access_token);
    return result;
  },

  /** A code that is redeemed twice: the second time is refused, and what the first gave is dead. */
  async replay() {
    const { url, checks } = await authorization();
    const back = await send(url);
    const tokens = await client.authorizationCodeGrant(config, arrived(back), checks, {}, dpop);
    const again = await refusal(client.authorizationCodeGrant(config, arrived(back), checks, {}, dpop));
    return { tokens, again };
  },

  async refresh() {
    const { url, checks } = await authorization();
    const first = await client.authorizationCodeGrant(config, arrived(await send(url)), checks, {}, dpop);
    const renew = (token) => client.refreshTokenGrant(config, token, {}, dpop);
    const [second, same] = [await renew(first.refresh_token), await renew(first.refresh_token)];
    const third = await renew(second.refresh_token ?? first.refresh_token);
    const result = { first, second, same, third };
    if (facts.wait) {
      // The window of the first token ends; then whoever uses it holds a stolen one.
      await ask({ ask: "wait" });
      result.late = await refusal(renew(first.refresh_token));
      result.dead = await refusal(renew(third.refresh_token));
    }
    return result;
  },

  async end() {
    const { url, checks } = await authorization();
    const tokens = await client.authorizationCodeGrant(config, arrived(await send(url)), checks, {}, dpop);
    const look = (token) => client.tokenIntrospection(config, token);
    const result = { tokens, before: await look(tokens.access_token) };
    await client.tokenRevocation(config, tokens.refresh_token);
    result.after = await look(tokens.access_token);
    result.renewed = await refusal(client.refreshTokenGrant(config, tokens.refresh_token, {}, dpop));
    return result;
  },

  async logout() {
    const { url, checks } = await authorization();
    const tokens = await client.authorizationCodeGrant(config, arrived(await send(url)), checks, {}, dpop);
    const end = client.buildEndSessionUrl(config, {
      post_logout_redirect_uri: facts.post_logout,
      id_token_hint: tokens.id_token,
      state: "after",
    });
    return { back: await send(end), end: String(end) };
  },

  async device() {
    const shown = await client.initiateDeviceAuthorization(config, { scope: facts.scope });
    const polled = client.pollDeviceAuthorizationGrant(config, shown, {}, { ...dpop });
    const { page } = await ask({ ask: "device", ...shown });
    const tokens = await polled;
    return { shown, page, tokens, claims: tokens.claims() ?? null };
  },

  async device_refused() {
    const shown = await client.initiateDeviceAuthorization(config, { scope: facts.scope });
    const polled = refusal(client.pollDeviceAuthorizationGrant(config, shown, {}, { ...dpop }));
    await ask({ ask: "device", ...shown });
    return polled;
  },

  /** The gate asks for more, twice: the client goes back with what the challenge says, and nothing else passes. */
  async step_up() {
    const path = "/strong/1";
    const judge = (how, tokens) => ask({ ask: how, token: tokens.access_token });
    const renew = (tokens) => client.refreshTokenGrant(config, tokens.refresh_token, {}, dpop);
    const signIn = async (how, more = {}) => {
      const { url, checks } = await authorization(more);
      const back = await ask({ ask: how, url: String(url) });
      if (more.max_age) checks.maxAge = Number(more.max_age);
      return client.authorizationCodeGrant(config, arrived(back), checks, {}, dpop);
    };
    const stepUp = ({ acr_values, max_age }) => signIn("step_up", { acr_values, max_age });

    const first = await signIn("authorize");
    const challenge = await challenged(first.access_token, path);
    await judge("never", first);
    // The app that is added is proved at once; that is forgotten here, for `max_age`.
    await ask({ ask: "app" });
    await judge("never", first);
    await ask({ ask: "wait" });

    const second = await stepUp(challenge);
    if (await challenged(second.access_token, path)) throw new Error("it does not pass");
    await judge("passes", second);
    const old = await renew(first);
    await judge("never", old);
    await judge("outlive", second);
    const again = await challenged(second.access_token, path);
    await judge("stale", second);

    const third = await stepUp(again);
    if (await challenged(third.access_token, path)) throw new Error("it does not pass again");
    await judge("passes", third);
    // Neither the refresh of what is too old, nor a lower level that is asked for in a session of a higher one.
    const renewed = await renew(second);
    await judge("stale", renewed);
    const low = await signIn("authorize", { acr_values: "aal1" });
    for (const tokens of [low, old]) await judge("never", tokens);

    const seen = {};
    for (const [name, tokens] of Object.entries({ first, old, second, third, renewed, low }))
      seen[name] = await client.tokenIntrospection(config, tokens.access_token);
    return { challenge, again, seen };
  },

  async client_credentials() {
    const parameters = { scope: facts.scope, ...(facts.parameters ?? {}) };
    const tokens = await client.clientCredentialsGrant(config, parameters, dpop);
    const result = { tokens, metadata: config.serverMetadata() };
    if (facts.api) result.called = await call(tokens.access_token);
    return result;
  },

  /** The person refuses, or the request breaks a rule: the error that comes back. */
  async refused() {
    const { url, checks } = await authorization();
    const back = await send(url);
    return { back, ...(await refusal(client.authorizationCodeGrant(config, arrived(back), checks))) };
  },
};

await run(flows[facts.flow]);
