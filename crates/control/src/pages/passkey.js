// Passkeys: a form carries what to ask the browser for (data-passkey, data-options); what the browser answers goes into
// its field "answer", and the form goes to the server. Nothing is decided here, and no text stands here.
const bytes = (text) =>
  Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (it) => it.charCodeAt(0));
const text = (buffer) =>
  btoa(Array.from(new Uint8Array(buffer), (it) => String.fromCharCode(it)).join(""))
    .replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");

function options(form) {
  const it = JSON.parse(form.dataset.options);
  it.challenge = bytes(it.challenge);
  if (it.user) it.user.id = bytes(it.user.id);
  for (const one of it.allowCredentials || it.excludeCredentials || []) one.id = bytes(one.id);
  return it;
}

function written(made) {
  const said = made.response;
  const response = { clientDataJSON: text(said.clientDataJSON) };
  if (said.attestationObject) {
    response.attestationObject = text(said.attestationObject);
    response.transports = said.getTransports ? said.getTransports() : [];
  } else {
    response.authenticatorData = text(said.authenticatorData);
    response.signature = text(said.signature);
    response.userHandle = said.userHandle ? text(said.userHandle) : null;
  }
  const { credProps } = made.getClientExtensionResults();
  const clientExtensionResults = credProps ? { credProps } : {};
  return JSON.stringify({
    id: made.id, rawId: text(made.rawId), type: made.type, response, clientExtensionResults,
  });
}

async function ask(form, more) {
  const wanted = { publicKey: options(form), ...more };
  const made = form.dataset.passkey === "create"
    ? await navigator.credentials.create(wanted)
    : await navigator.credentials.get(wanted);
  form.elements.answer.value = written(made);
  form.submit();
}

function set(form) {
  const problem = form.querySelector("[data-problem]");
  let waiting = new AbortController();
  form.hidden = false;
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    // A browser asks for one passkey at a time.
    waiting.abort();
    waiting = new AbortController();
    problem.hidden = true;
    ask(form, { signal: waiting.signal }).catch((error) => {
      const known = error.name === "InvalidStateError" && form.dataset.known;
      problem.textContent = known || form.dataset.failed;
      problem.hidden = false;
    });
  });
  // The browser offers passkeys among the names that it knows for the field, until the person does something else.
  if (form.dataset.passkey === "get" && "conditional" in form.dataset
      && PublicKeyCredential.isConditionalMediationAvailable) {
    PublicKeyCredential.isConditionalMediationAvailable()
      .then((can) => can && ask(form, { mediation: "conditional", signal: waiting.signal }))
      .catch(() => {});
  }
}

if (window.PublicKeyCredential) {
  document.querySelectorAll("form[data-passkey]").forEach(set);
} else {
  document.querySelectorAll("[data-without-passkeys]").forEach((it) => { it.hidden = false; });
}
