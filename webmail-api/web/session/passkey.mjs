// A passkey or a security key (WebAuthn), the page's half: a second factor, and by its prf extension a secret that
// wraps the private key (wrap.mjs, kind PASSKEY). The secret is the page's alone. What goes to the server is put
// together here member by member: credential.toJSON() has the secret in it, and must never be sent.

const base64url = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer)))
  .replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
const octets = (text) => Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
const descriptors = (list) => list.map((c) => ({ ...c, id: octets(c.id) }));
const extensions = ({ prf }) => ({ prf: { eval: { first: octets(prf.eval.first) } } });

// The secret, 32 octets, to be overwritten after its use. null: this authenticator has none, or gives it at its next
// use.
function secretOf(credential) {
  const first = credential.getClientExtensionResults().prf?.results?.first;
  return first ? new Uint8Array(first) : null;
}

const sent = (credential, response) =>
  ({ id: credential.id, rawId: base64url(credential.rawId), type: credential.type, response });

// options: the server's PublicKeyCredentialCreationOptionsJSON. Gives what is to be sent, the secret if it is there
// already, and whether there is one at all. Throws what the browser throws: NotAllowedError where somebody declines.
export async function makePasskey(options) {
  const publicKey = {
    ...options,
    challenge: octets(options.challenge),
    user: { ...options.user, id: octets(options.user.id) },
    excludeCredentials: descriptors(options.excludeCredentials),
    extensions: extensions(options.extensions),
  };
  const credential = await navigator.credentials.create({ publicKey });
  const { clientDataJSON, attestationObject } = credential.response;
  return {
    sent: sent(credential, {
      clientDataJSON: base64url(clientDataJSON),
      attestationObject: base64url(attestationObject),
      transports: credential.response.getTransports(),
    }),
    secret: secretOf(credential),
    hasSecret: credential.getClientExtensionResults().prf?.enabled === true,
  };
}

// options: the server's PublicKeyCredentialRequestOptionsJSON.
export async function usePasskey(options) {
  const publicKey = {
    ...options,
    challenge: octets(options.challenge),
    allowCredentials: descriptors(options.allowCredentials),
    extensions: extensions(options.extensions),
  };
  const credential = await navigator.credentials.get({ publicKey });
  const { clientDataJSON, authenticatorData, signature, userHandle } = credential.response;
  return {
    sent: sent(credential, {
      clientDataJSON: base64url(clientDataJSON),
      authenticatorData: base64url(authenticatorData),
      signature: base64url(signature),
      ...(userHandle && { userHandle: base64url(userHandle) }),
    }),
    secret: secretOf(credential),
  };
}
