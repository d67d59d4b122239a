"""The client's half of OPAQUE (RFC 9807: ristretto255-SHA512, empty identities and context) and Ed25519, over
libsodium, so that scripts can sign in without Node. A password is not stretched unless the caller does it: servers do
not see whether it was."""
import ctypes
import ctypes.util
import hashlib
import hmac
import os

sodium = ctypes.CDLL(ctypes.util.find_library("sodium") or "libsodium.so.23")
assert sodium.sodium_init() >= 0

CONTEXT = b"OPRFV1-\x00-ristretto255-SHA512"


def call(name, size, *args):
    out = ctypes.create_string_buffer(size)
    if getattr(sodium, name)(out, *args):
        raise ValueError(name)
    return out.raw


def multiply(scalar, element):
    return call("crypto_scalarmult_ristretto255", 32, scalar, element)


def reduce(octets):
    return call("crypto_core_ristretto255_scalar_reduce", 32, octets)


def counted(octets):
    return len(octets).to_bytes(2, "big") + octets


def expand_message(message, label, size=64):  # RFC 9380 section 5.3.1, of at most one block
    tag = label + bytes([len(label)])
    first = hashlib.sha512(bytes(128) + message + size.to_bytes(2, "big") + b"\0" + tag).digest()
    return hashlib.sha512(first + b"\x01" + tag).digest()


def extract(secret, salt=b""):
    return hmac.digest(salt or bytes(64), secret, "sha512")


def expand(key, info, size=64):
    out, last = b"", b""
    for n in range(1, 4):
        last = hmac.digest(key, last + info + bytes([n]), "sha512")
        out += last
    return out[:size]


def mac(key, *parts):
    return hmac.digest(key, b"".join(parts), "sha512")


def key_pair(seed, info=b"OPAQUE-DeriveDiffieHellmanKeyPair"):
    secret = reduce(expand_message(seed + counted(info) + b"\0", b"DeriveKeyPair" + CONTEXT))
    return secret, call("crypto_scalarmult_ristretto255_base", 32, secret)


def blind(password):
    scalar = reduce(os.urandom(64))
    element = call("crypto_core_ristretto255_from_hash", 32, expand_message(password, b"HashToGroup-" + CONTEXT))
    return scalar, multiply(scalar, element)


def opened(password, scalar, evaluated, stretch):
    element = multiply(call("crypto_core_ristretto255_scalar_invert", 32, scalar), evaluated)
    output = hashlib.sha512(counted(password) + counted(element) + b"Finalize").digest()
    return extract(output + stretch(output))


def envelope(key, nonce, server):
    secret, public = key_pair(expand(key, nonce + b"PrivateKey", 32))
    tag = mac(expand(key, nonce + b"AuthKey"), nonce, server, counted(server), counted(public))
    return secret, public, tag, expand(key, nonce + b"ExportKey")


def unstretched(octets):
    return octets


class Registration:
    def __init__(self, password):
        self.password = password.encode()
        self.scalar, self.request = blind(self.password)

    def finish(self, response, stretch=unstretched):
        """The record and the export key."""
        evaluated, server = response[:32], response[32:]
        key = opened(self.password, self.scalar, evaluated, stretch)
        nonce = os.urandom(32)
        _, public, tag, export = envelope(key, nonce, server)
        return public + expand(key, b"MaskingKey") + nonce + tag, export


class Login:
    def __init__(self, password):
        self.password = password.encode()
        self.scalar, request = blind(self.password)
        self.share, public = key_pair(os.urandom(32))
        self.ke1 = request + os.urandom(32) + public

    def finish(self, ke2, stretch=unstretched):
        """KE3 and the export key, or None: the server knows another password."""
        evaluated, nonce, masked = ke2[:32], ke2[32:64], ke2[64:192]
        share, proof = ke2[224:256], ke2[256:]
        key = opened(self.password, self.scalar, evaluated, stretch)
        pad = expand(expand(key, b"MaskingKey"), nonce + b"CredentialResponsePad", 128)
        clear = bytes(a ^ b for a, b in zip(masked, pad))
        server, nonce, tag = clear[:32], clear[32:64], clear[64:]
        secret, public, expected, export = envelope(key, nonce, server)
        if tag != expected:
            return None
        said = b"OPAQUEv1-" + counted(b"") + counted(public) + self.ke1 + counted(server) + ke2[:-64]
        prk = extract(multiply(self.share, share) + multiply(self.share, server) + multiply(secret, share))
        handshake = derive(prk, b"HandshakeSecret", hashlib.sha512(said).digest())
        if proof != mac(derive(handshake, b"ServerMAC", b""), hashlib.sha512(said).digest()):
            return None
        return mac(derive(handshake, b"ClientMAC", b""), hashlib.sha512(said + proof).digest()), export


def derive(secret, label, transcript):
    name = b"OPAQUE-" + label
    return expand(secret, b"\0\x40" + bytes([len(name)]) + name + bytes([len(transcript)]) + transcript)


# ---- sign-in keys (docs/wrapped-keys.md) ----

class Key:
    def __init__(self, secret):
        seed = expand(extract(secret), b"Letterlock sign-in key", 32)
        self.public, self.secret = ctypes.create_string_buffer(32), ctypes.create_string_buffer(64)
        sodium.crypto_sign_seed_keypair(self.public, self.secret, seed)
        self.public = self.public.raw

    def sign(self, text):
        return call("crypto_sign_detached", 64, None, text, ctypes.c_ulonglong(len(text)), self.secret)
