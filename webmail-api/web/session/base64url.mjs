// Octets as JSON has them: base64url without padding (RFC 4648 section 5).
export function toBase64url(octets) {
  const text = btoa(Array.from(octets, (octet) => String.fromCharCode(octet)).join(""));
  return text.replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}

// Throws where it is none.
export function fromBase64url(text) {
  if (!/^[A-Za-z0-9_-]*$/.test(text)) throw new RangeError("this is not base64url");
  return Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
}
