# SPDX-License-Identifier: Apache-2.0
"""Servers that take alerts, well or badly: by plain sockets, so that they can do it as badly as
somebody must be prepared for."""
import json
import os
import socket
import ssl
import subprocess
import threading
import time


class Request:
    def __init__(self, head, body):
        lines = head.decode("latin-1").split("\r\n")
        self.method, self.path, _ = lines[0].split(" ", 2)
        self.headers = {
            name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])
        }
        self.body = body

    def json(self):
        return json.loads(self.body)


class Hook:
    """An HTTP server with a `mode`: the status that it answers, or how it misbehaves."""

    def __init__(self, tls=None, port=0):
        self.mode = "200"
        self.answer = b"{}"
        self.requests = []
        self.connections = 0
        self.clients = set()
        self.tls = tls
        self.socket = socket.create_server(("127.0.0.1", port))
        self.port = self.socket.getsockname()[1]
        self.open = True
        threading.Thread(target=self.serve, daemon=True).start()

    @property
    def endpoint(self):
        return f"127.0.0.1:{self.port}"

    @property
    def url(self):
        return f"{'https' if self.tls else 'http'}://{self.endpoint}"

    def taken(self):
        """Alerts that were answered well, as their lines."""
        return [request.json() for request in self.requests if request.status == 200]

    def ids(self):
        return [line["delivery"]["id"] for line in self.taken()]

    def close(self):
        """Nobody is there any more."""
        self.open = False
        # shutdown wakes the threads that wait for it.
        for end in [self.socket, *self.clients]:
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        self.socket.close()

    def serve(self):
        while self.open:
            try:
                client, _ = self.socket.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self.handle, args=(client,), daemon=True).start()

    def handle(self, client):
        self.clients.add(client)
        whole = client
        try:
            if self.tls:
                whole = self.tls.wrap_socket(client, server_side=True)
            while self.request(whole):
                pass
        except OSError:
            pass
        finally:
            self.clients.discard(client)
            whole.close()

    def request(self, client):
        data = b""
        while b"\r\n\r\n" not in data:
            more = client.recv(65536)
            if not more:
                return False
            data += more
        head, _, body = data.partition(b"\r\n\r\n")
        request = Request(head, body)
        while len(request.body) < int(request.headers.get("content-length", 0)):
            request.body += client.recv(65536)
        mode = self.mode
        request.mode, request.status = mode, 0
        if mode == "close":
            self.requests.append(request)
            return False
        if mode == "hang":
            self.requests.append(request)
            while self.mode == "hang":
                time.sleep(0.02)
            return False
        if mode == "garbage":
            self.requests.append(request)
            client.sendall(b"\x16\x03\x01 this is no HTTP\r\n\r\n" * 3)
            return False
        if mode == "slow":
            # The answer is there at once, its body never.
            request.status = 200
            self.requests.append(request)
            client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
            while self.mode == "slow":
                client.sendall(b"x")
                time.sleep(0.05)
            return False
        status, _, extra = mode.partition(" ")
        request.status = int(status)
        self.requests.append(request)
        headers = f"{extra}\r\n" if extra else ""
        client.sendall(
            f"HTTP/1.1 {status} x\r\nContent-Length: {len(self.answer)}\r\n{headers}\r\n".encode()
            + self.answer)
        return True


class Datagrams:
    """What comes to a socket of datagrams: a path, or loopback."""

    def __init__(self, path=None):
        if path:
            self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            self.socket.bind(str(path))
        else:
            self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.socket.bind(("127.0.0.1", 0))
            self.port = self.socket.getsockname()[1]
        self.messages = []
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                message = self.socket.recv(1 << 20)
            except OSError:
                return
            if not message:
                return
            self.messages.append(message)

    def close(self):
        # shutdown wakes the thread, which would hold the socket open.
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()


class Stream:
    """A syslog server over TCP or TLS that counts octets. `mode`: "take", "close", "hang"."""

    def __init__(self, tls=None):
        self.mode = "take"
        self.messages = []
        self.connections = 0
        self.tls = tls
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                client, _ = self.socket.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self.handle, args=(client,), daemon=True).start()

    def handle(self, client):
        try:
            if self.mode == "close":
                # A reset: what was sent is gone.
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                client.close()
                return
            if self.tls:
                client = self.tls.wrap_socket(client, server_side=True)
            data = b""
            while True:
                more = client.recv(65536)
                if not more:
                    return
                data += more
                while b" " in data:
                    length, _, rest = data.partition(b" ")
                    if len(rest) < int(length):
                        break
                    self.messages.append(rest[: int(length)])
                    data = rest[int(length):]
        except OSError:
            pass
        finally:
            client.close()


class Authority:
    """A certificate authority for one test, made by openssl."""

    def __init__(self, directory, name):
        self.directory = directory
        self.key, self.certificate = directory / f"{name}.key", directory / f"{name}.pem"
        self.openssl(
            "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
            "-keyout", self.key, "-out", self.certificate, "-days", "2", "-subj", f"/CN={name}")

    @staticmethod
    def openssl(*words):
        subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True)

    def issue(self, name, subject):
        """Certificate and key for a subjectAltName such as `IP:127.0.0.1`."""
        key, request = self.directory / f"{name}.key", self.directory / f"{name}.csr"
        certificate, extensions = self.directory / f"{name}.pem", self.directory / f"{name}.ext"
        extensions.write_text(f"subjectAltName={subject}\n")
        self.openssl(
            "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout",
            key, "-out", request, "-subj", f"/CN={name}")
        self.openssl(
            "x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self.key,
            "-CAcreateserial", "-out", certificate, "-days", "2", "-extfile", extensions)
        os.chmod(key, 0o600)
        return certificate, key

    def server(self, name, subject, clients=None):
        """A server's context; with `clients`, an authority, it wants a certificate of theirs."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*map(str, self.issue(name, subject)))
        if clients:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(str(clients.certificate))
        return context
