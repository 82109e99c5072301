"""Codes of an authenticator app: somebody else's implementation of RFC 6238."""
import base64
import hashlib
import hmac
import struct
import time


def step(at=None):
    return int(time.time() if at is None else at) // 30


def code(secret, at_step=None):
    key = base64.b32decode(secret + '=' * (-len(secret) % 8))
    mac = hmac.new(key, struct.pack('>Q', step() if at_step is None else at_step), hashlib.sha1).digest()
    at = mac[-1] & 15
    return f'{(struct.unpack(">I", mac[at:at + 4])[0] & 0x7fffffff) % 1000000:06d}'
