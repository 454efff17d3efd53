// The link's secret stands behind its #, which browsers do not send; it goes into the form and out of the address.
const secret = location.hash.slice(1);
if (secret) {
  document.getElementById("code").value = secret;
  document.getElementById("code-field").hidden = true;
  (document.querySelector("#email, #password") || document.querySelector("form.panel button")).focus();
  history.replaceState(null, "", location.pathname + location.search);
}
