"""Polling a test's server: a reader, and what it has given."""

from __future__ import annotations

import datetime
import ipaddress
import time

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from connectors.streams import http
from connectors.streams.http import HttpSource
from connectors.streams.http_options import HttpOptions
from schemas.message_formats import MESSAGE_FORMATS
from transforms.parse_block import BlockParser

QUICK = {"interval": 0.02, "give_up": 60.0}
PATIENCE = 20.0


class Polling:
    """A reader, and what it has given so far."""

    def __init__(self, url, folder, **options):
        self.source = HttpSource(url, folder, HttpOptions(**{**QUICK, **options}))
        (self.part,) = self.source.parts({})
        self.reader = self.source.open(self.part)
        self.position, self.payloads, self.polls = self.part.start, [], 0

    def once(self):
        """Polls once."""
        poll = self.reader.poll(self.position, 0.05)
        self.polls += 1
        assert poll.wait <= http.LONGEST_WAIT
        assert (poll.payload is None) == (poll.position == self.position)
        self.position = poll.position
        if poll.payload is not None:
            assert poll.records == 1
            assert not poll.caught_up
            self.payloads.append(poll.payload)
        return poll

    def until(self, condition):
        """Polls until the condition holds."""
        end = time.monotonic() + PATIENCE
        while True:
            poll = self.once()
            if condition(poll):
                return poll
            assert time.monotonic() < end, "waited in vain"
            time.sleep(min(poll.wait, 0.01))

    def payload(self):
        """The next payload."""
        return self.until(lambda poll: poll.payload is not None).payload


def parsed(payload):
    """Identifiers of the readings, and the rejected records."""
    found = BlockParser(MESSAGE_FORMATS["regional"]).parse_payload(payload)
    names = [name for batch in found.readings for name in batch.column("id").to_pylist()]
    return sorted(names), [row for batch in found.rejected for row in batch.to_pylist()]


def archived(folder):
    """The files of archived responses."""
    return sorted(folder.glob("**/*.json.gz"))


def certificate_of(folder):
    """A key and a certificate for 127.0.0.1, which vouches for itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    names = [x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(key, hashes.SHA256())
    )
    file = folder / "certificate.pem"
    file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    return file
